// Light, dark, or the theme of the system; remembered where the browser allows it.

const THEMES = ["system", "light", "dark"];
const MEMORY = "mil-bench-theme";
const systemDark = matchMedia("(prefers-color-scheme: dark)");
let theme = remembered();

function remembered() {
  try {
    const stored = localStorage.getItem(MEMORY);
    return THEMES.includes(stored) ? stored : "system";
  } catch {
    return "system"; // a page from file:// may have no storage
  }
}

function showTheme() {
  const dark = theme === "dark" || (theme === "system" && systemDark.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

function nextTheme() {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  try {
    localStorage.setItem(MEMORY, theme);
  } catch {
    // The theme still changes now.
  }
  showTheme();
  redraw();
}

systemDark.addEventListener("change", showTheme);
showTheme();
