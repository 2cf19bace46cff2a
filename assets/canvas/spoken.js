/* Words as they are read aloud: the signs that stand for a blank by their names. The names, SPOKEN, stand above this
   script (attn_core/figures/scripts.py); attn_core/text/decoding.py says words in the same way, and a test runs both. */

function spoken(text) {
  const said = [...text].map((sign) => (SPOKEN[sign] ? ` ${SPOKEN[sign]} ` : sign)).join("");
  return said === text ? text : said.split(" ").filter(Boolean).join(" ");
}

/* The element that holds a word; where a voice would skip a sign of it, it has a name to say. */
function nameAloud(node, word) {
  if (spoken(word) === word) return node;
  node.setAttribute("role", "img"); // so that it is read by its name alone
  node.setAttribute("aria-label", spoken(word));
  return node;
}
