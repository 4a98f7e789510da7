// Calibration: whether probabilities mean what they say.

const CALIBRATION = ["brier", "log_loss", "ece", "rps"];

VIEWS.calibration = {
  title: "Calibration",
  has: (board) => Boolean(board.tables.calibration ?? board.tables.overall),
  draw(board) {
    const { calibration, overall } = board.tables;
    const scores = overall ? overall.columns.filter((c) => CALIBRATION.includes(c.name)) : [];
    return [
      overall ? forestPanel(overall, "calibration", scores) : null,
      ...["calibration", "thresholds"].map((name) => extraTable(board, name)),
    ];
  },
};
