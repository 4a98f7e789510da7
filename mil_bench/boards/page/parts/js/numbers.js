// Numbers for people, with a decimal point in every locale.

/** Whether the numbers of a column are shown times 100. */
function inPercent(table, name, row) {
  const c = column(table, name);
  return c.unit === "row" ? Boolean(DATA.metrics[table.metrics[row]]?.percent) : c.percent;
}

/** A value of a column as text; `–` where it is undefined. */
function shown(value, unit, percent) {
  if (value === null || value === undefined) return "–";
  if (percent) return fixed(100 * value, 1);
  if (unit === "count" || unit === "FLOPs") return short(value);
  if (unit === "rank") return Number.isInteger(value) ? String(value) : fixed(value, 1);
  if (unit === "seconds") return duration(value);
  if (unit === "hours") return fixed(value, 2);
  if (unit === "MiB") return `${fixed(value, 0)} MiB`;
  if (unit === "probability") return value < 0.001 ? "<0.001" : fixed(value, 3);
  return fixed(value, 3);
}

function fixed(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** Three digits with k, M, G, T; whole numbers below 10,000 in full. */
function short(value) {
  const size = Math.abs(value);
  if (size < 10000) return Number.isInteger(value) ? String(value) : fixed(value, 1);
  const power = Math.min(4, Math.floor(Math.log10(size) / 3));
  return `${(value / 1000 ** power).toPrecision(3)} ${" kMGT"[power]}`;
}

function duration(seconds) {
  if (seconds >= 7200) return `${fixed(seconds / 3600, 1)} h`;
  if (seconds >= 120) return `${fixed(seconds / 60, 1)} min`;
  if (seconds >= 1) return `${fixed(seconds, 1)} s`;
  return seconds > 0 ? `${Number((1000 * seconds).toPrecision(2))} ms` : "0 s";
}

/** All parts of a cell in words. */
function spoken(table, name, row) {
  const cell = cellAt(table, row, name);
  if (!isNumber(cell)) return cell ?? "";
  const c = column(table, name);
  const say = (value) => shown(value, c.unit, inPercent(table, name, row));
  const { low, high, mark, note } = details(cell);
  const words = [say(cell[0] ?? null)];
  if (low !== null) words.push(`95 % CI ${say(low)} to ${say(high)}`);
  if (cell[3] != null) words.push(`sd over folds ${say(cell[3])}`);
  if (cell[4] != null) words.push(`sd over seeds ${say(cell[4])}`);
  if (mark) words.push(mark === "best" ? "best" : "not significantly different from the best");
  if (note) words.push(note);
  return words.join("; ");
}
