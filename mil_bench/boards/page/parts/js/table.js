// A table that can be sorted, searched, filtered, paged and saved.

const PAGE = 50;
const PRINTED = 1000;
let printing = false;

/**
 * The table with its tools. `columns` replaces the default columns, `rows` the rows; `bands` draws
 * the tiers while rows are in the order of the board; a page holds `size` rows.
 */
function tableView(table, { columns, rows = allRows(table), bands = false, size = PAGE } = {}) {
  const names = shownColumns(table, columns);
  const drawn = names.filter((name) => !saidAbove(table, name, rows));
  const matching = sortedRows(table, filteredRows(table, rows));
  const most = printing ? PRINTED : size;
  const pages = Math.max(1, Math.ceil(matching.length / most));
  const page = Math.min(pages - 1, Number(get(`page.${table.name}`, "0")) || 0);
  const visible = matching.slice(page * most, (page + 1) * most);
  const intervals = get("intervals", "whiskers");
  const scales = Object.fromEntries(names.map((name) => [name, whiskerScale(table, name, rows)]));
  const tiers = bands && !get(`sort.${table.name}`) && columnIndex(table, "tier") >= 0;
  let above = null;
  const body = visible.map((row) => {
    const tier = tiers ? valueOf(cellAt(table, row, "tier")) : null;
    const starts = tier !== null && above !== null && tier !== above;
    above = tier ?? above;
    return el("tr", { class: tierClass(tier, starts) },
      drawn.map((name, i) => tableCell(table, row, name,
        { scale: scales[name], intervals, head: i === 0 })));
  });
  const empty = el("tr", {}, el("td", { colspan: drawn.length, class: "none" }, "No row matches."));
  return el("section", { class: "table-block" },
    tableTools(table, names, rows, matching),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": table.title },
      el("table", { id: `table-${table.name}` },
        el("caption", { class: "unseen" }, [table.title, table.note].filter(Boolean).join(": ")),
        el("thead", {}, el("tr", {}, drawn.map((name) => heading(table, name)))),
        el("tbody", {}, body.length ? body : empty))),
    pages > 1 ? pager(table, page, pages) : null,
    table.note ? el("p", { class: "note" }, prose(sentence(table.note))) : null);
}

/** Whether the view already states this key: constant in `rows`, but not in the table. */
function saidAbove(table, name, rows) {
  if (!table.keys.includes(name) || rows.length === table.methods.length) return false;
  const texts = new Set(rows.map((row) => valueOf(cellAt(table, row, name))));
  return texts.size === 1 && distinct(table, name).length > 1;
}

function tierClass(tier, starts) {
  if (tier === null) return null;
  return `band ${tier === 1 ? "lead" : tier % 2 ? "odd" : "even"}${starts ? " tier-starts" : ""}`;
}

/** With a capital letter and a full stop. */
function sentence(text) {
  return stopped(text.charAt(0).toUpperCase() + text.slice(1));
}

/** With a full stop; the first word may be a name and stays unchanged. */
function stopped(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function heading(table, name) {
  const c = column(table, name);
  const [sorted, down] = sortOrder(table);
  const mine = sorted === name;
  const state = mine ? (down ? "descending" : "ascending") : "none";
  const arrow = mine ? (down ? " ▼" : " ▲") : "";
  const hint = [c.note, { 1: "higher is better", "-1": "lower is better" }[c.better]];
  return el("th", { scope: "col", "aria-sort": state,
    title: hint.filter(Boolean).join("; ") || null,
    class: isNumeric(table, name) ? "number" : "text" },
  // Browsers omit buttons where a heading is repeated on the next printed page.
  printing ? el("span", { class: "plain-head" }, c.title)
    : el("button", { type: "button", id: `sort-${table.name}-${name}`,
      onclick: () => sortBy(table, name, mine, down) }, c.title,
    el("span", { class: "arrow", "aria-hidden": "true" }, arrow)));
}

function sortOrder(table) {
  const words = get(`sort.${table.name}`);
  return words ? [words.replace(/^-/, ""), words.startsWith("-")] : ["", false];
}

/** Cycle through: best first, worst first, order of the board. */
function sortBy(table, name, mine, down) {
  const first = column(table, name).better > 0;
  const next = !mine ? (first ? `-${name}` : name)
    : down === first ? (first ? name : `-${name}`) : null;
  set({ [`sort.${table.name}`]: next, [`page.${table.name}`]: null });
  const order = next === null ? "order of the board" : `sorted by ${column(table, name).title}`;
  announce(`${order}${next ? (next.startsWith("-") ? ", descending" : ", ascending") : ""}`);
}

/** Undefined values come last in both directions; ties keep the order of the board. */
function sortedRows(table, rows) {
  const [name, down] = sortOrder(table);
  if (!name || columnIndex(table, name) < 0) return rows;
  const key = new Map(rows.map((row) => [row, valueOf(cellAt(table, row, name))]));
  return rows.toSorted((a, b) => {
    const [x, y] = [key.get(a), key.get(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "number" && typeof y === "number" ? x - y
      : String(x).localeCompare(String(y), "en", { numeric: true });
    return down ? -order : order;
  });
}

function pager(table, page, pages) {
  const go = (to) => () => set({ [`page.${table.name}`]: to ? String(to) : null });
  const button = (id, text, to, off) => el("button", { type: "button", class: "quiet",
    id: `${id}-${table.name}`, disabled: off, onclick: go(to) }, text);
  return el("nav", { class: "pager", "aria-label": `Pages of ${table.title}` },
    button("first", "First", 0, page === 0), button("back", "Back", page - 1, page === 0),
    el("span", {}, `page ${page + 1} of ${pages}`),
    button("next", "Next", page + 1, page === pages - 1),
    button("last", "Last", pages - 1, page === pages - 1));
}

for (const [event, state] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => {
    printing = state;
    redraw();
  });
}
