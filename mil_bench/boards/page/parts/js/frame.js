// The frame of every view: title, boards, verdict, caveats, tabs.

const CAVEATS = 4;

function frameTop(board, view) {
  const boards = DATA.boards.map((b) => [b.place, b.title]);
  const open = (changes) => { location.hash = address(changes); };
  return el("div", { class: "bar" },
    el("span", { class: "brand" }, "mil-bench"),
    boards.length > 1 ? chooser("board", "Board", boards, board.place,
      (place) => open({ board: place })) : null,
    el("nav", { class: "tabs", "aria-label": "Views" },
      Object.entries(VIEWS).filter(([name]) => isView(board, name)).map(([name, v]) =>
        el("a", { href: address({ view: name }), id: `view-${name}`,
          "aria-current": name === view ? "page" : null }, v.title))),
    el("button", { type: "button", class: "quiet", id: "theme", onclick: nextTheme,
      "aria-label": `Theme: ${theme}`, title: "light, dark or as the system" },
    { light: "☀ light", dark: "☾ dark", system: "◐ system" }[theme]));
}

function frameHead(board, view) {
  const facts = [`${board.patients} patients`, `${board.slides} slides`,
    `${Object.keys(board.methods).length} rows`];
  const kind = { real: "real cohort", embedded: "embedded demo data",
    simulated: "simulated data" }[board.kind] ?? board.kind;
  const caveats = board.caveats.map((text) => el("li", {}, prose(stopped(text))));
  const [first, rest] = [caveats.slice(0, CAVEATS), caveats.slice(CAVEATS)];
  const full = view === firstView(board);
  const open = full || printing;
  return el("div", { class: full ? "head" : "head brief" },
    el("h1", {}, board.title.replace(/ \([^()]*\)$/, "")),
    el("p", { class: "facts" }, el("span", { class: `chip kind ${board.kind}` }, kind),
      facts.join(" · ")),
    el("div", { class: "words" },
      board.verdict
        ? el("p", { class: "verdict", id: "verdict" }, stopped(board.verdict)) : null,
    caveats.length ? el("details", { class: "caveats", open },
      el("summary", { id: "caveats" }, `Read with care (${caveats.length})`), el("ul", {}, first),
      rest.length ? el("details", { open: printing }, el("summary", { id: "caveats-more" },
        `${rest.length} more`), el("ul", {}, rest)) : null) : null));
}

/** Whether the board has something to show in this view. */
function isView(board, name) {
  const view = VIEWS[name];
  return Boolean(view) && (!view.has || view.has(board));
}

/** What a board opens with: its ablation if it is one, else all methods. */
function firstView(board) {
  return isView(board, "ablation") ? "ablation" : "overall";
}

/** Draw everything from the address. */
function redraw() {
  keepingFocus(() => {
    const board = theBoard();
    const main = document.getElementById("main");
    if (!board) {
      main.replaceChildren(el("p", { class: "none" }, "This page has no boards."));
      return;
    }
    const view = isView(board, get("view")) ? get("view") : firstView(board);
    document.title = `${VIEWS[view].title} · ${board.title} · mil-bench`;
    document.getElementById("top").replaceChildren(frameTop(board, view));
    const scrolled = [...main.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    main.replaceChildren(frameHead(board, view), el("div", { class: `view ${view}` },
      el("h2", { class: "unseen" }, VIEWS[view].title), VIEWS[view].draw(board)));
    main.querySelectorAll(".scroll").forEach((box, i) => { box.scrollLeft = scrolled[i] ?? 0; });
    document.getElementById("foot").replaceChildren(
      el("p", {}, "Intervals: 95 % CI (bootstrap over patients). Bold: best of its column. "
        + "Underlined: not significantly different from the best. †: the number has a note."),
      board.left_out.length ? el("p", {}, "To keep this file small, it omits "
        + `${board.left_out.join(", ")}. The CSV files hold everything.`) : "");
  });
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address holds the state of the page, so it cannot hold an anchor
  document.getElementById("main").focus();
});
addEventListener("hashchange", () => {
  redraw();
  scrollTo(0, 0);
});
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width && !printing) {
    width = innerWidth;
    redraw();
  }
});
redraw();
