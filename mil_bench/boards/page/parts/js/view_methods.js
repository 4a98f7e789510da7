// Method cards: the paper, differences from its code, and the settings.

VIEWS.methods = {
  title: "Methods",
  draw(board) {
    const names = [...new Set(Object.values(board.methods))];
    return [el("div", { class: "cards" }, names.map((name) => methodCard(board, name)))];
  },
};

function methodCard(board, name) {
  const card = DATA.cards[name];
  if (!card) {
    return el("article", { class: "card" }, el("h2", {}, name),
      el("p", { class: "muted" }, "This method was not installed when the page was written."));
  }
  return el("article", { class: "card", id: `method-${name}` },
    el("h2", {}, name), el("p", { class: "lead" }, card.summary),
    el("p", {}, card.title, ". ", el("span", { class: "muted" }, `${card.venue}, ${card.year}. `),
      link(card.link, card.link.replace(/^https?:\/\/(doi\.org\/)?/, ""))),
    card.code
      ? el("p", { class: "muted" }, "Verified against ", el("code", {}, card.code)) : null,
    card.differs.length ? [el("h3", {}, "Differs from the official code"),
      el("ul", {}, card.differs.map((line) => el("li", {}, line)))] : null,
    card.measured ? el("details", {}, el("summary", {}, "Measured design choices"),
      el("pre", {}, card.measured)) : null,
    settingsList("Settings", card.settings, new Set(card.searched)),
    settingsList("Recipe", card.recipe, new Set()));
}

function settingsList(title, settings, searched) {
  const pairs = Object.entries(settings);
  if (!pairs.length) return null;
  return el("details", {}, el("summary", {}, `${title} (${pairs.length})`),
    el("dl", {}, pairs.map(([key, value]) => [
      el("dt", {}, el("code", {}, key), searched.has(key)
        ? el("span", { class: "chip", title: "has a search range" }, "searched") : null),
      el("dd", {}, value)])));
}
