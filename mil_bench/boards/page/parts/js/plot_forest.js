// A forest plot: one line per method, with tiers as bands behind.

const FOREST = { row: 30, top: 26, bottom: 34, label: 264, value: 150, tier: 52 };

/** Values and intervals of one column over the given rows, in the order of the board. */
function forest(table, name, rows, most) {
  const width = room(most);
  const wide = width > 560;
  const label = Math.min(FOREST.label, width * 0.36);
  const value = wide ? FOREST.value : 52;
  const height = FOREST.top + rows.length * FOREST.row + FOREST.bottom;
  const c = column(table, name);
  const percent = inPercent(table, name, rows[0] ?? 0);
  const cells = rows.map((row) => cellAt(table, row, name));
  const numbers = cells.filter(isNumber);
  const span = extent(numbers.flatMap((cell) => [cell[0], cell[1], cell[2]]), 0.04);
  const x = linear(span, [label + 8, width - value - 8]);
  const floor = height - FOREST.bottom;
  const axis = ticks(span, wide ? 6 : 3).map((tick) => [
    svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: FOREST.top - 8, y2: floor }),
    svg("text", { class: "tick", x: x(tick), y: floor + 16, "text-anchor": "middle" },
      percent ? fixed(100 * tick, 0) : String(tick)),
  ]);
  const places = { x, width, label, value, most: (label - (wide ? FOREST.tier : 4)) / 7.4 };
  const lines = rows.map((row, i) =>
    forestLine(table, row, name, cells[i], FOREST.top + i * FOREST.row, places));
  const better = { 1: "higher is better", "-1": "lower is better" }[c.better] ?? "";
  return svg("svg", { class: "plot forest", viewBox: `0 0 ${width} ${height}`, width, height,
    role: "img", "aria-label": `${c.title} of ${rows.length} methods with 95 % CI` },
  tierBands(table, rows, width, wide), axis,
  svg("text", { class: "axis", x: (label + width - value) / 2, y: floor + 31,
    "text-anchor": "middle" }, [c.title, percent ? "(%)" : "", better && `· ${better}`]
    .filter(Boolean).join(" ")),
  lines);
}

/** Pale bands behind the tiers, with their names where there is room. */
function tierBands(table, rows, width, named) {
  const groups = [];
  rows.forEach((row, i) => {
    const tier = valueOf(cellAt(table, row, "tier"));
    const last = groups.at(-1);
    if (last && last.tier === tier) last.to = i + 1;
    else groups.push({ tier, from: i, to: i + 1 });
  });
  return groups.filter((g) => g.tier !== null).map((g) => [
    svg("rect", { class: `band ${g.tier === 1 ? "lead" : ""}`, x: 0, width, rx: 5,
      y: FOREST.top + g.from * FOREST.row + 1.5, height: (g.to - g.from) * FOREST.row - 3 }),
    named ? svg("text", { class: "tick", x: 10, y: FOREST.top + g.from * FOREST.row + 19 },
      `tier ${g.tier}`) : null,
  ]);
}

function forestLine(table, row, name, cell, top, { x, width, label, value, most }) {
  const y = top + FOREST.row / 2;
  const method = table.methods[row];
  const title = svg("text", { class: "label", x: label, y: y + 4, "text-anchor": "end" },
    clipped(method, most), svg("title", {}, method));
  if (!isNumber(cell) || cell[0] == null) {
    return [title, svg("text", { class: "tick", x: label + 12, y: y + 4 }, "no result")];
  }
  const { low, high, mark } = details(cell);
  const c = column(table, name);
  const say = (v) => shown(v, c.unit, inPercent(table, name, row));
  const ends = value > 60 && low !== null ? `  [${say(low)}, ${say(high)}]` : "";
  return [title,
    low === null ? null : svg("line", { class: `interval-line ${mark}`, x1: x(low), x2: x(high),
      y1: y, y2: y }),
    svg("circle", { class: `dot ${mark}`, cx: x(cell[0]), cy: y, r: 4.5 },
      svg("title", {}, `${method}: ${spoken(table, name, row)}`)),
    svg("text", { class: `number-label ${mark}`, x: width - 6, y: y + 4, "text-anchor": "end" },
      say(cell[0]) + ends)];
}

/** A text that fits into about `most` letters. */
function clipped(text, most) {
  return text.length <= most ? text : `${text.slice(0, Math.max(3, Math.floor(most) - 1))}…`;
}
