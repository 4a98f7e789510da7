// The island of data: boards, their tables, and the cells of a table.

const DATA = JSON.parse(document.getElementById("data").textContent);
const PARTS = ["value", "low", "high", "sd_folds", "sd_seeds"];

for (const board of DATA.boards) Object.values(board.tables).forEach(unpackTable);

/** Repeated texts are stored once; put them back into their cells. */
function unpackTable(table) {
  const unpacked = (v) => (Array.isArray(v) ? v : v.at.map((i) => v.of[i] ?? null));
  table.methods = unpacked(table.methods);
  table.metrics = unpacked(table.metrics);
  table.cells = table.cells.map(unpacked);
}

/** The current board. */
function theBoard() {
  return DATA.boards.find((board) => board.place === get("board")) ?? DATA.boards[0];
}

/** Position of a column; -1 when the table has none of this name. */
function columnIndex(table, name) {
  return table.columns.findIndex((column) => column.name === name);
}

/** A column by name. */
function column(table, name) {
  return table.columns[columnIndex(table, name)];
}

/** A cell: `null`, a text, or the parts of a number. */
function cellAt(table, row, name) {
  const i = columnIndex(table, name);
  return i < 0 ? null : table.cells[i][row];
}

/** Whether a cell is a number. */
function isNumber(cell) {
  return Array.isArray(cell);
}

/** The value of a cell: a number, a text, or `null` where it is undefined. */
function valueOf(cell) {
  return isNumber(cell) ? cell[0] ?? null : cell || null;
}

/** Low, high, mark and note of a number. */
function details(cell) {
  return { low: cell[1] ?? null, high: cell[2] ?? null, mark: cell[5] ?? "", note: cell[6] ?? "" };
}

/** Whether the table holds a number in this column. */
function isNumeric(table, name) {
  return table.cells[columnIndex(table, name)].some(isNumber);
}

/** Row numbers `0…n-1`. */
function allRows(table) {
  return table.methods.map((_, i) => i);
}

/** Different texts of a column, in order of appearance. */
function distinct(table, name) {
  return [...new Set(allRows(table).map((row) => valueOf(cellAt(table, row, name))))]
    .filter((value) => value !== null).map(String);
}

/** Rows in which every column of `texts` has that text. */
function rowsWhere(table, texts) {
  return allRows(table).filter((row) => Object.entries(texts)
    .every(([name, value]) => String(valueOf(cellAt(table, row, name)) ?? "") === value));
}

/** Columns that measure the quality of a method. */
function scoreColumns(table) {
  return table.columns.filter((c) => c.better && c.interval && c.unit !== "rank"
    && !["behind"].includes(c.name));
}
