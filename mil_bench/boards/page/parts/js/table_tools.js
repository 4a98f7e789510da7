// Tools of a table: search, filters, columns, intervals, files.

const FACETS = 14; // columns with more different texts get no filter

/** The shown columns: those in the address, or the default ones. */
function shownColumns(table, chosen) {
  const picked = get(`cols.${table.name}`);
  const names = picked ? picked.split(",") : chosen ?? [...table.keys, ...table.shown];
  return [...new Set([...table.keys, ...names])]
    .filter((name) => columnIndex(table, name) >= 0 && (picked || !isEmpty(table, name)));
}

function isEmpty(table, name) {
  return table.cells[columnIndex(table, name)].every((cell) => valueOf(cell) === null);
}

/** Rows that match the search and the filters of the address. */
function filteredRows(table, rows) {
  const query = get(`q.${table.name}`).toLowerCase().split(/\s+/).filter(Boolean);
  const facets = [...getAll(`is.${table.name}.`)];
  return rows.filter((row) =>
    facets.every(([name, value]) => String(valueOf(cellAt(table, row, name)) ?? "") === value)
    && (!query.length || matches(textOf(table, row), query)));
}

function matches(text, query) {
  return query.every((word) => text.includes(word));
}

function textOf(table, row) {
  table.texts ??= new Map();
  if (!table.texts.has(row)) {
    const cells = table.cells.map((cells) => cells[row]).filter((cell) => typeof cell === "string");
    table.texts.set(row, cells.join("\n").toLowerCase());
  }
  return table.texts.get(row);
}

/** Search, filters, column picker, intervals, CSV and LaTeX. */
function tableTools(table, names, rows, shownRows) {
  const id = table.name;
  const search = el("input", { type: "search", id: `search-${id}`, placeholder: "Search rows",
    "aria-label": `Search rows of ${table.title}`, value: get(`q.${id}`),
    oninput: () => set({ [`q.${id}`]: search.value, [`page.${id}`]: null }) });
  const save = (text, ending, type) => () => download(fileName(id, ending), text(), type);
  return el("div", { class: "tools", role: "group", "aria-label": `Tools of ${table.title}` },
    search, facetChoosers(table, names, rows), columnPicker(table, names),
    hasIntervals(table, names) ? intervalChooser() : null,
    el("span", { class: "count", id: `count-${id}` }, counted(shownRows.length, rows.length)),
    el("span", { class: "files" },
      el("button", { type: "button", class: "quiet", id: `csv-${id}`,
        onclick: save(() => csvOf(table, names, shownRows), "csv", "text/csv") }, "CSV"),
      el("button", { type: "button", class: "quiet", id: `latex-${id}`,
        onclick: save(() => latexOf(table, names, shownRows), "tex", "text/x-tex") }, "LaTeX")));
}

function counted(some, all) {
  return some === all ? `${all} row${all === 1 ? "" : "s"}` : `${some} of ${all} rows`;
}

function facetChoosers(table, names, rows) {
  const texts = names.filter((name) => name !== "variant" && rows.length > 8
    && (!isNumeric(table, name) || table.keys.includes(name)));
  return texts.map((name) => [name, distinct(table, name)])
    .filter(([, values]) => values.length > 1 && values.length <= FACETS)
    .map(([name, values]) => {
      const key = `is.${table.name}.${name}`;
      const options = [["", "all"], ...values.map((v) => [v, v])];
      return chooser(`filter-${table.name}-${name}`, column(table, name).title, options, get(key),
        (value) => set({ [key]: value, [`page.${table.name}`]: null }));
    });
}

function columnPicker(table, names) {
  const toggle = (name) => () => {
    const next = names.includes(name) ? names.filter((n) => n !== name) : [...names, name];
    set({ [`cols.${table.name}`]: next.join(",") });
  };
  const free = table.columns.filter((c) => !table.keys.includes(c.name) && !isEmpty(table, c.name));
  const box = (c) => el("label", { title: c.note || null },
    el("input", { type: "checkbox", id: `col-${table.name}-${c.name}`, onchange: toggle(c.name),
      checked: names.includes(c.name) }), ` ${c.title}`);
  const every = [...table.keys, ...free.map((c) => c.name)].join(",");
  const all = el("button", { type: "button", class: "quiet", id: `cols-all-${table.name}`,
    onclick: () => set({ [`cols.${table.name}`]: every }) }, "All");
  const defaults = el("button", { type: "button", class: "quiet", id: `cols-usual-${table.name}`,
    onclick: () => set({ [`cols.${table.name}`]: null }) }, "Default");
  const open = OPEN.has(table.name);
  return el("details", { class: "picker", open, ontoggle: (event) => {
    OPEN[event.target.open ? "add" : "delete"](table.name);
  } }, el("summary", { id: `cols-${table.name}` }, "Columns"),
  el("div", { class: "picker-body" }, el("div", { class: "picker-head" }, all, defaults),
    free.map(box)));
}

const OPEN = new Set(); // open pickers; too small a state for the address

function hasIntervals(table, names) {
  return names.some((name) => column(table, name).unit !== "rank"
    && table.cells[columnIndex(table, name)].some((cell) => isNumber(cell) && cell[1] != null));
}

function intervalChooser() {
  const options = [["whiskers", "drawn"], ["text", "numbers"], ["none", "hidden"]];
  return chooser("intervals", "Intervals", options, get("intervals", "whiskers"),
    (value) => set({ intervals: value === "whiskers" ? null : value }));
}
