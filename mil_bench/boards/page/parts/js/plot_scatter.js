// Points in a plane with axes: costs against quality, one model against another.

/** With more points, only those on the frontier have labels; the others have tooltips. */
const NAMED = 12;
const LETTER = 7; // pixels of a label
const FRAME = { left: 56, right: 20, top: 16, bottom: 46 };

/**
 * A frame with axes. `x` and `y` are `{ span, label, say, log }`; the answer has the `svg` node and
 * both scales.
 */
function plane(width, height, x, y, name) {
  const across = [FRAME.left, width - FRAME.right];
  const up = [height - FRAME.bottom, FRAME.top];
  const [sx, sy] = [[x, across], [y, up]].map(([a, range]) =>
    (a.log ? logarithmic : linear)(a.span, range));
  const marks = (a) => (a.log ? logTicks(a.span) : ticks(a.span, 5));
  const node = svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, width, height,
    role: "img", "aria-label": name },
  marks(x).map((v) => [
    svg("line", { class: "grid", x1: sx(v), x2: sx(v), y1: up[0], y2: up[1] }),
    svg("text", { class: "tick", x: sx(v), y: up[0] + 17, "text-anchor": "middle" }, x.say(v))]),
  marks(y).map((v) => [
    svg("line", { class: "grid", x1: across[0], x2: across[1], y1: sy(v), y2: sy(v) }),
    svg("text", { class: "tick", x: across[0] - 7, y: sy(v) + 4, "text-anchor": "end" },
      y.say(v))]),
  svg("text", { class: "axis", x: (across[0] + across[1]) / 2, y: height - 8,
    "text-anchor": "middle" }, x.label),
  svg("text", { class: "axis", x: 14, y: (up[0] + up[1]) / 2, "text-anchor": "middle",
    transform: `rotate(-90 14 ${(up[0] + up[1]) / 2})` }, y.label));
  return { node, sx, sy };
}

/** Cost against quality; the line joins the rows that no other row beats in both. */
function paretoPlot(table, cost, quality) {
  const points = allRows(table).map((row) => ({ row, method: table.methods[row],
    x: valueOf(cellAt(table, row, cost)), y: valueOf(cellAt(table, row, quality)) }))
    .filter((p) => p.x !== null && p.x > 0 && p.y !== null);
  if (!points.length) return el("p", { class: "none" }, "This cost was not measured.");
  const [width, c, q] = [room(920), column(table, cost), column(table, quality)];
  const height = Math.min(460, width * 0.62);
  const spanX = extent(points.map((p) => p.x));
  const intervals = points.map((p) => details(cellAt(table, p.row, quality)));
  const ends = intervals.flatMap(({ low, high }) => [low, high]);
  const y = { span: extent([...points.map((p) => p.y), ...ends], 0.05),
    label: `${q.title}${q.percent ? " (%)" : ""}`,
    say: (v) => (q.percent ? fixed(100 * v, 0) : shown(v, q.unit, false)) };
  const x = { span: [spanX[0] / 1.35, spanX[1] * 1.6], log: true,
    label: `${c.title} · lower is better`, say: (v) => shown(v, c.unit, c.percent) };
  const { node, sx, sy } = plane(width, height, x, y, `${q.title} against ${c.title}`);
  const sign = q.better < 0 ? -1 : 1;
  const rivals = competing(table, points);
  const front = rivals.filter((p) => !rivals.some((o) =>
    o.x <= p.x && sign * o.y >= sign * p.y && (o.x < p.x || o.y !== p.y)))
    .sort((a, b) => a.x - b.x);
  if (front.length > 1) {
    const steps = front.map((p, i) => (i ? `H${sx(p.x)}V${sy(p.y)}` : `M${sx(p.x)} ${sy(p.y)}`));
    node.append(svg("path", { class: "frontier", d: steps.join("") }));
  }
  points.forEach((p, i) => {
    const marks = paretoPoint(table, p, intervals[i], front.includes(p), quality, sx, sy);
    node.append(...marks);
  });
  const named = points.length <= NAMED ? points : front;
  node.append(...named.map((p) => pointLabel(p, front.includes(p) ? sign : 0, sx, sy)));
  spreadLabels(node);
  return node;
}

/** Points of rows with a tier: no controls, no incomplete rows. All where nothing is compared. */
function competing(table, points) {
  const ranked = points.filter((p) => isNumber(cellAt(table, p.row, "tier")));
  return ranked.length ? ranked : points;
}

function paretoPoint(table, p, { low, high }, onFront, quality, sx, sy) {
  const [cx, cy] = [sx(p.x), sy(p.y)];
  return [
    low === null ? null
      : svg("line", { class: "error", x1: cx, x2: cx, y1: sy(low), y2: sy(high) }),
    svg("circle", { class: `dot ${onFront ? "best" : ""}`, cx, cy, r: 5 },
      svg("title", {}, `${p.method}: ${spoken(table, quality, p.row)}`)),
  ].filter(Boolean);
}

/** A label left of a frontier point, where no other point can be; else to the right. */
function pointLabel(p, side, sx, sy) {
  const [cx, cy, words] = [sx(p.x), sy(p.y), clipped(p.method, 24)];
  const fits = side && cx - 7 - LETTER * words.length > FRAME.left;
  const place = fits ? { x: cx - 7, y: cy + 3 - 10 * side, "text-anchor": "end" }
    : { x: cx + 9, y: cy + 4 };
  return svg("text", { class: "point-label", ...place }, words);
}

/** Move labels of points apart, downwards, until they can be read. */
function spreadLabels(node) {
  const labels = [...node.querySelectorAll(".point-label")]
    .map((text) => {
      const [x, y, long] = [+text.getAttribute("x"), +text.getAttribute("y"),
        text.textContent.length * LETTER];
      return { text, x: text.getAttribute("text-anchor") === "end" ? x - long : x, y, long };
    })
    .sort((a, b) => a.y - b.y);
  labels.forEach((label, i) => {
    for (const above of labels.slice(0, i)) {
      const beside = label.x > above.x + above.long || above.x > label.x + label.long;
      if (!beside && label.y < above.y + 14) label.y = above.y + 14;
    }
    label.text.setAttribute("y", label.y);
  });
}
