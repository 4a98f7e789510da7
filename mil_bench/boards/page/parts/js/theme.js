// Light, dark, or as the system has it; remembered where the browser allows.

const THEMES = ["system", "light", "dark"];
const MEMORY = "mil-bench-theme";
const systemDark = matchMedia("(prefers-color-scheme: dark)");
let theme = remembered();

function remembered() {
  try {
    const found = localStorage.getItem(MEMORY);
    return THEMES.includes(found) ? found : "system";
  } catch {
    return "system"; // a page from file:// may have no memory
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
    // It still changes now.
  }
  showTheme();
  redraw();
}

systemDark.addEventListener("change", showTheme);
showTheme();
