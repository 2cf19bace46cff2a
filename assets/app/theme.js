/* Runs the page again when the visitor switches between light and dark, so that pictures made in Python follow. */
export default function ({ parentElement, setTriggerValue }) {
  const figure = element("div", "figure");
  parentElement.replaceChildren(element("style", "", SHARED_STYLE), figure);
  const themeNow = watchTheme(figure, compare);
  compare(); // Streamlit mounts its components anew when the theme changes

  function compare() {
    const known = globalThis.headlightTheme;
    globalThis.headlightTheme = themeNow();
    if (known && known !== globalThis.headlightTheme) setTriggerValue("changed", globalThis.headlightTheme);
  }
}
