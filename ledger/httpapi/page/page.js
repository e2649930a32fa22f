// Renders ../openapi.json. It needs nothing but what this service serves.
"use strict";

const el = (tag, attrs, ...children) => {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs || {})) node.setAttribute(k, v);
  for (const c of children.flat()) if (c !== null && c !== undefined) node.append(c);
  return node;
};

let doc;

const resolve = (schema) => {
  while (schema && schema.$ref) schema = doc.components.schemas[schema.$ref.split("/").pop()];
  return schema || {};
};

const nameOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(nameOf).join(" or ");
  const types = [].concat(schema.type || "any");
  if (types.includes("array")) return "array of " + nameOf(schema.items);
  return types.join(" or ") + (schema.format ? " (" + schema.format + ")" : "");
};

const limits = (s) => {
  const out = [];
  if (s.enum) out.push("one of " + s.enum.join(", "));
  if (s.minimum !== undefined) out.push("at least " + s.minimum);
  if (s.maximum !== undefined) out.push("at most " + s.maximum);
  if (s.minLength !== undefined) out.push("at least " + s.minLength + " characters");
  if (s.maxLength !== undefined) out.push("at most " + s.maxLength + " characters");
  if (s.minItems !== undefined) out.push("at least " + s.minItems + " items");
  if (s.maxItems !== undefined) out.push("at most " + s.maxItems + " items");
  if (s.pattern) out.push("matches " + s.pattern);
  if (s.default !== undefined) out.push("default " + JSON.stringify(s.default));
  return out.join("; ");
};

const row = (name, schema, required, description) => {
  const s = { ...resolve(schema), ...schema };
  const more = limits(resolve(schema));
  return el("tr", {},
    el("td", {}, el("code", {}, name), required ? el("span", { class: "soft" }, " required") : null),
    el("td", {}, nameOf(schema)),
    el("td", {}, description || s.description || "", more ? el("div", { class: "soft" }, more) : null));
};

const table = (rows) => el("table", {}, el("thead", {}, el("tr", {}, ["name", "type", "meaning"].map((h) => el("th", {}, h)))), el("tbody", {}, rows));

const fields = (schema, seen = []) => {
  const s = resolve(schema);
  const inner = s.items ? fields(s.items, seen) : null;
  if (!s.properties) return inner;
  const required = new Set(s.required || []);
  const names = Object.keys(s.properties);
  const box = el("div", {}, table(names.map((n) => row(n, s.properties[n], required.has(n)))));
  for (const n of names) {
    let p = s.properties[n];
    if (p.items) p = p.items;
    if (p.anyOf) p = p.anyOf[0];
    const ref = p.$ref && nameOf(p);
    if (!ref || seen.includes(ref)) continue;
    const nested = fields(p, [...seen, ref]);
    if (nested) box.append(el("details", { class: "nested" }, el("summary", {}, el("code", {}, n), " : " + ref), nested));
  }
  return box;
};

const operation = (path, method, op) => {
  const id = op.operationId;
  const out = el("section", { id }, el("h3", {}, el("span", { class: "method " + method }, method.toUpperCase()), " ", el("code", {}, path)),
    el("p", {}, op.summary || ""), op.description ? el("p", { class: "soft" }, op.description) : null);
  if (op["x-scopes"]) out.append(el("p", { class: "soft" }, "Needs a key with the scope " + op["x-scopes"].join(" or ") + "."));
  if (op.parameters && op.parameters.length) out.append(el("h4", {}, "Parameters"), table(op.parameters.map((p) => row(p.in + "." + p.name, p.schema, p.required, p.description))));
  if (op.requestBody) for (const [type, media] of Object.entries(op.requestBody.content)) {
    out.append(el("h4", {}, "Body, " + type + ": " + nameOf(media.schema)));
    const f = fields(media.schema);
    if (f) out.append(f);
  }
  for (const [status, response] of Object.entries(op.responses || {})) {
    for (const [type, media] of Object.entries(response.content || { "": null })) {
      const problem = type === "application/problem+json";
      out.append(el("h4", {}, "Answer " + status + (media ? ", " + type + ": " + nameOf(media.schema) : "") + (problem && response.description ? ": " + response.description : "")));
      const f = media && !problem ? fields(media.schema) : null;
      if (f) out.append(f);
    }
  }
  return out;
};

const render = () => {
  const main = document.getElementById("main"), index = document.getElementById("index");
  main.replaceChildren(el("h2", {}, doc.info.title + " " + doc.info.version),
    ...(doc.info.description || "").split("\n\n").map((p) => el("p", {}, p)),
    el("p", {}, el("a", { href: "../openapi.json" }, "openapi.json"), " is the same as a machine reads it."));
  const problems = doc["x-problems"] || [];
  if (problems.length) {
    main.append(el("h3", { id: "problems" }, "Problems"), el("table", {}, el("tbody", {}, problems.map((p) =>
      el("tr", {}, el("td", {}, String(p.status)), el("td", {}, el("a", { href: ".." + p.type }, p.type)), el("td", {}, p.title + ". " + p.help))))));
    index.append(el("a", { href: "#problems" }, "Problems"));
  }
  const groups = new Map();
  for (const [path, methods] of Object.entries(doc.paths)) for (const [method, op] of Object.entries(methods)) {
    if (!op.operationId) continue;
    const tag = (op.tags || ["Other"])[0];
    if (!groups.has(tag)) groups.set(tag, []);
    groups.get(tag).push([path, method, op]);
  }
  for (const [tag, ops] of groups) {
    index.append(el("h2", {}, tag));
    for (const [path, method, op] of ops) {
      index.append(el("a", { href: "#" + op.operationId, "data-text": (method + " " + path + " " + (op.summary || "")).toLowerCase() }, op.summary || op.operationId));
      main.append(operation(path, method, op));
    }
  }
  document.getElementById("filter").addEventListener("input", (e) => {
    for (const a of index.querySelectorAll("a[data-text]")) a.hidden = !a.dataset.text.includes(e.target.value.toLowerCase());
  });
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
};

fetch("../openapi.json").then((r) => r.json()).then((d) => { doc = d; render(); })
  .catch((err) => document.getElementById("main").replaceChildren(el("p", {}, "The description cannot be read: " + err)));
