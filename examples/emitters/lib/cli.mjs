// The command line that record.sh uses; it needs no packages.
//
//   node <emitter>/main.mjs --list        names the scenarios
//   node <emitter>/main.mjs <scenario>    runs one, sends it to OTEL_EXPORTER_OTLP_ENDPOINT, prints the facts as JSON

import { readFileSync } from 'node:fs';

// The resource of every recording that lets itself be told.
export const service = {
  'service.name': 'weather-service',
  'service.version': '1.4.0',
  'deployment.environment.name': 'staging',
};

// main runs the scenario that the command line names. dir is the emitter's folder (import.meta.dirname), emitter the
// npm package that gives the recording its version. A scenario is { what, run }; run returns the facts, without having
// looked at any telemetry.
export async function main({ dir, emitter, scenarios }) {
  const name = process.argv[2];
  const version = JSON.parse(readFileSync(`${dir}/package.json`, 'utf8')).dependencies[emitter];
  if (name === '--list') {
    const short = emitter.replace(/^@/, '').replaceAll('/', '-');
    for (const scenario of Object.keys(scenarios)) console.log(`${scenario} ${short}-${version}-${scenario}`);
    return;
  }
  const scenario = scenarios[name];
  if (!scenario) {
    console.error(`unknown scenario ${name}; one of: ${Object.keys(scenarios).join(', ')}`);
    process.exitCode = 2;
    return;
  }
  console.log = console.info = console.debug = console.error; // Libraries print too; stdout is for the facts.
  const facts = await scenario.run();
  const out = { emitter, version, scenario: name, what: scenario.what, ...facts };
  process.stdout.write(`${JSON.stringify(out, null, 2)}\n`);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// apiError is what a provider's client throws for an HTTP error.
export function apiError(status, message) {
  return Object.assign(new Error(message), { name: 'APIError', status, statusCode: status });
}
