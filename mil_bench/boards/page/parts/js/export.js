// The current view as CSV and LaTeX, and plots as SVG files.

const FORMULA = /^[=+\-@\t\r']/;

/** CSV of rows and columns, with the column names of the CSV files. */
function csvOf(table, names, rows) {
  const fields = names.flatMap((name) => partsOf(table, name).map((part) => [name, part]));
  const header = fields.map(([name, part]) => (part > 0 ? `${name}_${PARTS[part]}` : name));
  const lines = rows.map((row) => fields.map(([name, part]) => csvCell(table, row, name, part)));
  return [header.map(quoted), ...lines].map((line) => line.join(",")).join("\n") + "\n";
}

function partsOf(table, name) {
  if (!isNumeric(table, name)) return [0];
  const cells = table.cells[columnIndex(table, name)].filter(isNumber);
  return [0, 1, 2, 3, 4].filter((part) => part === 0 || cells.some((cell) => cell[part] != null));
}

function csvCell(table, row, name, part) {
  const cell = cellAt(table, row, name);
  if (!isNumber(cell)) return part > 0 ? "" : quoted(cell ?? "");
  const value = cell[part] ?? null;
  if (value === null) return "";
  return String(value);
}

function quoted(text) {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** LaTeX with booktabs: bold, underlined and small intervals as on the page. */
function latexOf(table, names, rows) {
  const align = names.map((name) => (isNumeric(table, name) ? "r" : "l")).join("");
  const header = names.map((name) => tex(column(table, name).title)).join(" & ");
  const body = rows.map((row) => names.map((name) => texCell(table, row, name)).join(" & "));
  return [
    "% requires \\usepackage{booktabs}",
    "% bold: best; underlined: not significantly different from the best",
    `\\begin{tabular}{${align}}`, "\\toprule", `${header} \\\\`, "\\midrule",
    ...body.map((line) => `${line} \\\\`), "\\bottomrule", "\\end{tabular}", "",
  ].join("\n");
}

function texCell(table, row, name) {
  const cell = cellAt(table, row, name);
  if (!isNumber(cell)) return tex(cell ?? "");
  const c = column(table, name);
  const say = (value) => tex(shown(value, c.unit, inPercent(table, name, row)));
  const { low, high, mark } = details(cell);
  const value = say(cell[0] ?? null);
  const marked = { best: `\\textbf{${value}}`, tied: `\\underline{${value}}` }[mark] ?? value;
  return low === null ? marked : `${marked} {\\scriptsize [${say(low)}, ${say(high)}]}`;
}

const TEX = {
  "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
  "`": "\\textasciigrave{}", "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}",
  "\"": "{\\ttfamily\\char34}", "–": "--", "—": "---", "…": "\\ldots{}", "−": "$-$",
  "±": "$\\pm$", "×": "$\\times$", "·": "$\\cdot$", "≤": "$\\leq$", "≥": "$\\geq$",
  "→": "$\\rightarrow$", "↑": "$\\uparrow$", "↓": "$\\downarrow$", "Δ": "$\\Delta$",
  "✓": "$\\checkmark$", "-": "-{}", "'": "'{}", ",": ",{}",
};

/** A text so that LaTeX prints exactly these characters: as `escape` of the LaTeX files does. */
function tex(text) {
  const signs = /[\\~^`<>|"–—…−±×·≤≥→↑↓Δ✓&%$#_{}]|-(?=-)|'(?=')|,(?=,)/g;
  return String(text).replace(/\s+/g, " ").replace(signs, (sign) => TEX[sign] ?? `\\${sign}`);
}

/** Let the browser save a text as a file. */
function download(name, text, type = "text/plain") {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const anchor = el("a", { href: url, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
  announce(`${name} saved`);
}

/** `digit-bags-pixels-official-overall.csv`. */
function fileName(what, ending) {
  const words = `${theBoard().place}-${what}`.replace(/[^\p{L}\p{N}.]+/gu, "-");
  return `${words.replace(/^-|-$/g, "")}.${ending}`;
}

/** A button that saves the plot `of` in its current colours. */
function svgButton(id, of) {
  return el("button", { type: "button", class: "quiet", id, onclick: () => {
    const copy = of.cloneNode(true);
    const [from, to] = [of, copy].map((node) => [...node.querySelectorAll("*")]);
    from.forEach((node, i) => {
      const seen = getComputedStyle(node);
      for (const p of ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity",
        "font-size", "font-family", "font-weight", "text-anchor"]) to[i].style[p] = seen[p];
    });
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.style.background = getComputedStyle(document.body).backgroundColor;
    const text = new XMLSerializer().serializeToString(copy);
    download(fileName(id.replace(/^svg-/, ""), "svg"), text, "image/svg+xml");
  } }, "SVG");
}
