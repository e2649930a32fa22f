// Package prices knows what models cost. It depends on nothing but the standard library.
//
// A list is a JSON file, see modelprices.json, which is the one that every release ships. Prices are USD per million
// tokens, as text so that no digit is lost; each holds for a provider and a model from one moment until another or
// until the next price of the same model.
//
// How [List.Find] reads the name of a model, the first match counts:
//   - the name as it is, in lower case;
//   - without what stands before the last slash, "models/gemini-2.5-pro" and "openai/gpt-4o", and without the region
//     and vendor of Amazon Bedrock, "eu.anthropic.claude-…";
//   - without a version at the end: Bedrock's "-v1:0", Google's "-001" and a date, "-2025-08-07", "-20250514" or
//     "@20250514", or "-latest".
//
// So a dated name that has a price of its own takes that one, and any other that of the model. A name that merely begins
// like a known one, such as "gpt-4o-audio-preview", has no price.
//
// A provider that is not known has no price, even if the name of the model is: the same model costs something else
// elsewhere, and nothing on one's own machine. Other names of a provider, and resellers at list price, are in the file.
// An empty provider takes the price of the one provider that has the model.
//
// What the lists leave out: batch and priority tiers, higher prices of long prompts, prices that depend on the time of
// day, regional surcharges, names such as "chat-latest" that stand for another model every few months, caches that
// are paid by the hour, and tokens of sound and images where these cost more than text.
package prices
