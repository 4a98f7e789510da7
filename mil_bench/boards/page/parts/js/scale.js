// From numbers to positions and shades.

/** A linear map from `[from, to]` to `[low, high]`. */
function linear([from, to], [low, high]) {
  const span = to - from || 1;
  return (value) => low + ((value - from) / span) * (high - low);
}

/** The same in powers of ten. */
function logarithmic([from, to], [low, high]) {
  const inner = linear([Math.log10(from), Math.log10(to)], [low, high]);
  return (value) => inner(Math.log10(value));
}

/** About `count` round numbers between `from` and `to`. */
function ticks([from, to], count = 5) {
  const raw = (to - from || 1) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= raw) ?? 10);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 },
    (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** 1, 2 and 5 times powers of ten, or only the powers where there are many. */
function logTicks([from, to]) {
  const candidates = [];
  for (let p = Math.floor(Math.log10(from)); p <= Math.ceil(Math.log10(to)); p++) {
    for (const m of [1, 2, 5]) candidates.push(m * 10 ** p);
  }
  const inside = candidates.filter((v) => v >= from * 0.999 && v <= to * 1.001);
  const powers = inside.filter((v) => Number.isInteger(Math.log10(v)));
  return inside.length > 7 && powers.length > 1 ? powers : inside;
}

/** Smallest and largest defined value, widened by `share` of the span at both ends. */
function extent(values, share = 0) {
  const defined = values.filter((value) => value !== null && value !== undefined);
  if (!defined.length) return [0, 1];
  const [low, high] = defined.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)],
    [Infinity, -Infinity]);
  const pad = (high - low || Math.abs(high) || 1) * share;
  return [low - pad, high + pad];
}

/** Width of a plot in pixels. */
function room(most = 1392) {
  return Math.max(300, Math.min(most, document.getElementById("main").clientWidth - 48));
}
