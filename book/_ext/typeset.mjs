// Typesets formulas: reads [{tex, display}, ...] and writes [{html} or {error}, ...], as JSON. The one argument is the
// folder of the module KaTeX.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { default: katex } = await import(pathToFileURL(`${process.argv[2]}/dist/katex.mjs`));

const typeset = ({ tex, display }) => {
  try {
    return { html: katex.renderToString(tex, { displayMode: display, strict: "error" }) };
  } catch (error) {
    return { error: error.message };
  }
};

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0)).map(typeset)));
