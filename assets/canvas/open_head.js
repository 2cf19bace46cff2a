/* Which head is open on this page. A click is painted at once from the overview's tiles, marked ≈, until the exact
   numbers arrive. Every click has a number, and the page says which one it has answered: an older answer is never
   painted over a newer click. Where no answer comes, the last exact head comes back, and the picture says so. */

const LONGEST_ANSWER = 20_000; // milliseconds
const openHead = (globalThis.headlightOpenHead ??= new (class {
  current = null; // [layer, head] as it is to be seen; null while a mean is shown, or on pages without an opened head
  answered = null; // [layer, head] as the page last had it
  click = 0; // the number of the last click
  waiting = false;
  trouble = ""; // why the last click was not followed: "connection" or "answer"
  row = null; // of the word that was just chosen in one picture, for the others; null once the page has answered
  overview = null; // { root, tile(layer, head) }: where the tiles come from
  listeners = new Set();

  /* The overview's tiles: `tile(layer, head)` gives { cells, pool }, cells as bytes, or null where there are none. */
  provide(root, tile) {
    if (this.overview?.root !== root) Object.assign(this, { click: 0, waiting: false, trouble: "" });
    this.overview = { root, tile };
  }

  /* A click: shown at once everywhere. Gives the number that the page's answer has to carry. */
  open(layer, head) {
    this.click = Math.max(Date.now(), this.click + 1);
    this.waiting = true;
    this.trouble = "";
    this.show([layer, head]);
    this.watch(this.click);
    return this.click;
  }

  /* What the page shows, and which click that answers. */
  answer(shown, click) {
    if (click < this.click) return;
    this.waiting = false;
    this.trouble = "";
    this.answered = shown;
    this.show(shown);
  }

  lose(trouble) {
    this.waiting = false;
    this.trouble = trouble;
    this.show(this.answered);
  }

  show(head) {
    this.current = head;
    this.tell();
  }

  /* A word was chosen: its row is framed, and its lines are drawn, in every picture at once. */
  follow(row) {
    this.row = row;
    this.tell();
    this.row = null;
  }

  tell() {
    for (const listener of [...this.listeners]) listener();
  }

  /* No answer, or no connection: back to the last exact head. */
  watch(click) {
    const app = document.querySelector("[data-testid=stApp]");
    const connected = () => (app?.dataset.testConnectionState ?? "CONNECTED") === "CONNECTED";
    const began = Date.now();
    const look = setInterval(() => {
      if (!this.waiting || this.click !== click) clearInterval(look);
      else if (!connected()) this.lose("connection");
      else if (Date.now() - began > LONGEST_ANSWER) this.lose("answer");
    }, 250);
  }

  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /* Whether exact numbers of `head` are what is to be seen; anything is, while no head is named. */
  isExact(head) {
    return !this.current || !head || `${head}` === `${this.current}`;
  }
})());

const NO_WEIGHT = 255; // of a tile: masked

/* The opened head's weights [query, key] as its tile has them, NaN where masked; null where its tile has other cells. */
function fromTile(queries, keys) {
  const tile = openHead.current && openHead.overview?.tile(...openHead.current);
  if (!tile) return null;
  const columns = Math.ceil(keys / tile.pool);
  if (tile.cells.length !== Math.ceil(queries / tile.pool) * columns) return null;
  const weights = new Float32Array(queries * keys);
  for (let query = 0; query < queries; query++)
    for (let key = 0; key < keys; key++) {
      const cell = tile.cells[Math.floor(query / tile.pool) * columns + Math.floor(key / tile.pool)];
      weights[query * keys + key] = cell === NO_WEIGHT ? NaN : (cell / 254) ** 2;
    }
  return { weights, pool: tile.pool };
}
