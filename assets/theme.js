/* Runs the page again when the visitor switches between light and dark, so that pictures made in Python follow. */
export default function ({ parentElement, setTriggerValue }) {
  const figure = element("div", "figure");
  parentElement.replaceChildren(element("style", "", SHARED_STYLE), figure);
  const themeNow = watchTheme(figure, () => setTriggerValue("changed", themeNow()));
}
