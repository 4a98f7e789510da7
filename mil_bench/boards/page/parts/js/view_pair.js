// One pair: differences per score and class, and the slides with different decisions.

const POINTS = 4000; // more points make the plot slow and add nothing

function pairDetail(board, table, [a, b]) {
  const rows = rowsWhere(table, { method: a, other: b });
  const own = { ...table, name: "pair", keys: ["score"], note: "",
    title: `${a} minus ${b}, all scores` };
  const names = ["score", "difference", "p_holm", "superiority", "refits", "p_refits", "decision"];
  const label = (row) => DATA.metrics[cellAt(table, row, "score")]?.title;
  return el("section", { class: "panel pair", "aria-labelledby": "pair" },
    el("h2", { id: "pair" }, a, el("span", { class: "muted" }, " against "), b),
    el("div", { class: "side-by-side" },
      differenceForest(table, rows, label, `all scores · ${a} minus ${b}`),
      classDifferences(board, a, b)),
    disagreement(board, a, b),
    el("details", { class: "more" }, el("summary", {}, "All numbers of this pair"),
      tableView(own, { rows, columns: names.filter((n) => columnIndex(table, n) >= 0) })));
}

/** Differences with their intervals around zero, in points (fractions x 100). */
function differenceForest(table, rows, label, title) {
  const usable = rows.filter((row) => inPercent(table, "difference", row)
    && valueOf(cellAt(table, row, "difference")) !== null);
  const lines = usable.map((row) => ({ text: label(row) ?? String(cellAt(table, row, "score")),
    cell: cellAt(table, row, "difference"), words: spoken(table, "difference", row),
    mark: decided(table, row) }));
  return differencePlot(lines, title);
}

/** `ahead` or `behind` where the difference of a row is significant. */
function decided(table, row) {
  const [word] = (cellAt(table, row, "decision") ?? "").split(" ");
  return { better: "ahead", worse: "behind" }[word] ?? "";
}

/** The same per class, without intervals: the page does not have them for pairs. */
function classDifferences(board, a, b) {
  const table = board.tables.classwise;
  if (!table) return null;
  const level = distinct(table, "level").at(-1);
  const of = (method) => new Map(rowsWhere(table, { level }).filter((row) =>
    table.methods[row] === method).map((row) => [cellAt(table, row, "class"), row]));
  const [one, two] = [of(a), of(b)];
  const lines = [...one.keys()].filter((name) => two.has(name)).map((name) => {
    const [x, y] = [one, two].map((m) => valueOf(cellAt(table, m.get(name), "sensitivity")));
    return x === null || y === null ? null
      : { text: name, cell: [x - y], words: `${name}: ${signed(x - y, true)}`, mark: "" };
  }).filter(Boolean);
  return differencePlot(lines, "sensitivity per class");
}

function differencePlot(lines, title, percent = true) {
  if (!lines.length) return null;
  const wide = room();
  const width = wide > 760 ? Math.min(640, wide / 2 - 24) : wide;
  const [top, step, left, right] = [10, 24, Math.min(170, width * 0.36), 62];
  const height = top + lines.length * step + 42;
  const span = extent([0, ...lines.flatMap(({ cell }) => [cell[0], cell[1], cell[2]])], 0.06);
  const x = linear(span, [left + 6, width - right]);
  const floor = height - 38;
  return svg("svg", { class: "plot forest", viewBox: `0 0 ${width} ${height}`, width, height,
    role: "img", "aria-label": title },
  ticks(span, 5).map((v) => [
    svg("line", { class: v === 0 ? "zero" : "grid", x1: x(v), x2: x(v), y1: top, y2: floor }),
    svg("text", { class: "tick", x: x(v), y: floor + 15, "text-anchor": "middle" },
      signed(v, percent).replace(/\.0$/, ""))]),
  svg("text", { class: "axis", x: (left + width - right) / 2, y: height - 6,
    "text-anchor": "middle" }, title),
  lines.map(({ text, cell, words, mark }, i) => {
    const y = top + i * step + step / 2;
    return [
      svg("text", { class: "label", x: left, y: y + 4, "text-anchor": "end" },
        clipped(text, left / 7), svg("title", {}, text)),
      cell[1] == null ? null : svg("line", { class: `interval-line ${mark}`, x1: x(cell[1]),
        x2: x(cell[2]), y1: y, y2: y }),
      svg("circle", { class: `dot ${mark}`, cx: x(cell[0]), cy: y, r: 4 }, svg("title", {}, words)),
      svg("text", { class: "number-label", x: width - 4, y: y + 4, "text-anchor": "end" },
        signed(cell[0], percent))].filter(Boolean);
  }));
}

/** Which method is right how often, both probabilities as a plot, and the slides one by one. */
function disagreement(board, a, b) {
  const s = board.slidewise;
  const [i, j] = [a, b].map((m) => (s ? s.methods.indexOf(m) : -1));
  if (i < 0 || j < 0) {
    return el("p", { class: "note" }, prose("The slides of this board are omitted to keep the page "
      + "small; `mil-bench compare` shows them."));
  }
  const [one, two] = [i, j].map((k) => s.decided[k].map((d, n) => d === s.truth[n]));
  const count = (x, y) => one.filter((right, n) => right === x && two[n] === y).length;
  const cell = (x, y) => el("td", { class: x === y ? "" : "differ" }, String(count(x, y)));
  const table = slideTable(board, a, b, i, j);
  return el("div", {},
    el("h3", {}, "Slides"),
    el("div", { class: "side-by-side" },
      el("table", { class: "agreement" },
        el("caption", {}, "Slides by which method is right"),
        el("thead", {}, el("tr", {}, el("td", {}), el("th", { scope: "col" }, `${b} right`),
          el("th", { scope: "col" }, `${b} wrong`))),
        el("tbody", {},
          el("tr", {}, el("th", { scope: "row" }, `${a} right`), cell(true, true),
            cell(true, false)),
          el("tr", {}, el("th", { scope: "row" }, `${a} wrong`), cell(false, true),
            cell(false, false)))),
      slideScatter(s, i, j, one, two)),
    el("p", { class: "note" }, "Probabilities are means over the seeds and folds that test "
      + "a slide; the decided class has the highest mean."),
    el("h3", {}, `${table.methods.length} slides with different decisions`),
    tableView(table, { size: 25 }));
}

function slideScatter(s, i, j, one, two) {
  const width = Math.min(420, room(420));
  const axis = (k) => ({ span: [0, 1], label: `p(true class), ${clipped(s.methods[k], 24)}`,
    say: (v) => String(v) });
  const { node, sx, sy } = plane(width, width, axis(i), axis(j), "Probability of the true class");
  node.append(svg("line", { class: "zero", x1: sx(0), y1: sy(0), x2: sx(1), y2: sy(1) }));
  s.ids.slice(0, POINTS).forEach((id, n) => {
    const kind = one[n] === two[n] ? "same" : one[n] ? "first" : "second";
    node.append(svg("circle", { class: `slide ${kind}`, cx: sx(s.p[i][n] / 100),
      cy: sy(s.p[j][n] / 100), r: 3 },
    svg("title", {}, `${id}: ${s.p[i][n]} % against ${s.p[j][n]} %`)));
  });
  return node;
}

/** The slides with different decisions, as a table like all others. */
function slideTable(board, a, b, i, j) {
  const s = board.slidewise;
  const names = board.tree.classes[board.tree.levels.at(-1)];
  const differ = s.ids.map((_, n) => n).filter((n) => s.decided[i][n] !== s.decided[j][n]);
  const text = (name, title, of) => [{ name, title, unit: "text", better: 0 }, differ.map(of)];
  const share = (name, title, k) => [{ name, title, unit: "count", better: 0 },
    differ.map((n) => [s.p[k][n]])];
  const right = (n) => (s.decided[i][n] === s.truth[n] ? a : s.decided[j][n] === s.truth[n] ? b
    : "neither");
  const columns = [
    text("slide", "Slide", (n) => s.ids[n]),
    text("true", "True class", (n) => names[s.truth[n]]),
    text("decided_a", a, (n) => names[s.decided[i][n]]),
    text("decided_b", b, (n) => names[s.decided[j][n]]),
    text("right", "Right", right),
    share("p_a", `p true (%), ${a}`, i), share("p_b", `p true (%), ${b}`, j),
  ];
  return { name: "slides", title: "Slides", note: "", keys: ["slide"],
    shown: columns.slice(1).map(([c]) => c.name), columns: columns.map(([c]) => c),
    methods: differ.map(() => ""), metrics: [], cells: columns.map(([, cells]) => cells) };
}
