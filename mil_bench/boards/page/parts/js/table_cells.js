// One cell of a table.

/** A `td` (or the `th` of a row) for one cell; `scale` draws its interval. */
function tableCell(table, row, name, { scale, intervals, head }) {
  const cell = cellAt(table, row, name);
  if (!isNumber(cell)) return textCell(table, row, name, cell, head);
  const c = column(table, name);
  const say = (value) => shown(value, c.unit, inPercent(table, name, row));
  const { low, high, mark, note } = details(cell);
  const words = spoken(table, name, row);
  const undefinedNow = cell[0] == null;
  if (c.unit === "rank") return rankCell(cell, words, low, high);
  const interval = intervals === "text" && low !== null
    ? el("span", { class: "interval" }, `[${say(low)}, ${say(high)}]`) : null;
  return el("td", { class: `number ${mark}`, title: words },
    el("span", { class: `value${undefinedNow ? " undefined" : ""}` }, say(cell[0] ?? null)),
    note ? el("sup", { class: "noted", "aria-hidden": "true" }, "†") : null,
    interval,
    intervals === "whiskers" && scale ? whisker(cell, scale) : null,
    words === say(cell[0] ?? null) ? null : el("span", { class: "unseen" }, ` (${words})`));
}

/** A rank, followed by its interval. */
function rankCell(cell, words, low, high) {
  const open = low !== null && high !== low ? `${low}–${high}` : "";
  return el("td", { class: "number rank", title: words }, el("span", { class: "value" },
    shown(cell[0] ?? null, "rank", false)), el("span", { class: "open-ranks" }, open));
}

function textCell(table, row, name, text, head) {
  if (column(table, name).unit === "check") return checkCell(text);
  const special = SPECIAL_CELLS[name];
  const said = column(table, name).unit === "score" ? DATA.metrics[text]?.title ?? text : text;
  const body = text && special ? special(text, `${name}-${row}`) : said ?? "";
  if (head) return el("th", { scope: "row", class: "text", title: text }, body);
  return el("td", { class: `text of-${name}`, title: text }, body);
}

/** A check mark for yes, a dot for no, nothing where it has no meaning. */
function checkCell(text) {
  return el("td", { class: "check", title: text },
    el("span", { "aria-hidden": "true" }, { yes: "✓", no: "·" }[text] ?? ""),
    el("span", { class: "unseen" }, text ?? ""));
}

const SPECIAL_CELLS = {
  status: (text) => el("span", { class: `chip ${text.split(" ")[0]}` }, text),
  run_key: (text) => el("code", {}, text),
  commit: (text) => el("code", {}, text),
  finished: (text) => text.slice(0, 16).replace("T", " "),
  heatmaps: (text) => link(encodeURI(text), "open"),
  command: (text, id) => el("span", { class: "command" },
    el("button", { type: "button", class: "quiet", id: `copy-${id}`, onclick: () => copy(text) },
      "Copy"),
    el("code", { title: text }, text)),
};

/** Copy a text to the clipboard, also where `file://` pages have none. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "unseen" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  announce("copied");
}
