// Elements. Text stays text: no function of this page parses markup.

/** An element; `on…` attributes are listeners, `null` and `false` ones are left out. */
function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach((s) => node.style.setProperty(...s));
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
  return node;
}

/** Text, with the parts between backticks as code. */
function prose(text) {
  return text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? el("code", {}, part) : part));
}

/** A labelled choice; `options` are `[value, text]`. */
function chooser(id, label, options, value, onchange) {
  const select = el("select", { id, onchange: () => onchange(select.value) },
    options.map(([v, text]) => el("option", { value: v, selected: v === value }, text)));
  return el("label", { class: "field" }, el("span", {}, label), select);
}

/** Buttons of which one is pressed. */
function segmented(id, label, options, value, onchange) {
  return el("div", { class: "segments", role: "group", "aria-label": label },
    el("span", { class: "segments-label" }, label),
    options.map(([v, text]) =>
      el("button", { type: "button", id: `${id}-${v}`, "aria-pressed": String(v === value),
        onclick: () => onchange(v) }, text)));
}

/** A link to the web or to a file next to the page; other targets stay text. */
function link(target, text) {
  const web = target.replace(/^arxiv:/i, "https://arxiv.org/abs/");
  const safe = /^https?:\/\//.test(web) || !/^[^/]*:/.test(web);
  const props = { href: web, rel: "noreferrer", target: "_blank" };
  return safe ? el("a", props, text) : el("span", {}, text);
}

/** Announce a text to screen readers only. */
function announce(text) {
  document.getElementById("announce").textContent = text;
}

/** Call `draw` without losing the focus or the cursor of a text field. */
function keepingFocus(draw) {
  const active = document.activeElement;
  const [id, start, end] = [active?.id, active?.selectionStart, active?.selectionEnd];
  draw();
  const again = id && document.getElementById(id);
  if (!again || again === document.activeElement) return;
  again.focus({ preventScroll: true });
  if (typeof start === "number" && again.type === "search") again.setSelectionRange(start, end);
}
