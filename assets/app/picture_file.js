/* Draws a picture's file in the visitor's own browser, with Plotly's script, and hands it over as a download. Each
   wish has a number: the same one is never drawn twice, however often the page runs again. */
const drawn = (globalThis.headlightDrawn ??= new Map()); // key → the number of the last wish that was begun

export default function ({ data, key, parentElement }) {
  const said = parentElement.querySelector("p") ?? status(parentElement);
  if (!data || drawn.get(key) === data.number) return;
  drawn.set(key, data.number);
  said.textContent = data.says.drawing;
  draw(data).then(
    () => (said.textContent = data.says.done),
    (error) => (said.textContent = data.says[error.cause] ?? data.says.failed.replace("{error}", error.message)),
  );
}

function status(root) {
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  said.style.cssText = "margin: 4px 0 0; min-height: 1.4em; font: 13px/1.4 var(--st-font); color: var(--st-text-color)";
  root.replaceChildren(said);
  return said;
}

async function draw({ script, spec, address, kind, name, size }) {
  const [Plotly, figure] = await Promise.all([plotly(script), spec ? JSON.parse(spec) : fetched(address)]);
  const picture = await Plotly.toImage(figure, { ...size, format: kind });
  save(blob(picture), name);
}

/* Plotly's script, fetched once a visit and only by those who save a picture. */
function plotly(address) {
  return (globalThis.headlightPlotly ??= new Promise((resolve, reject) => {
    const tag = document.createElement("script");
    tag.src = address;
    tag.onload = () => resolve(globalThis.Plotly);
    tag.onerror = () => {
      globalThis.headlightPlotly = undefined; // the next wish tries again
      reject(new Error("script", { cause: "no_script" }));
    };
    document.head.append(tag);
  }));
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error("address", { cause: "gone" });
  return answer.json();
}

/* The bytes behind a data address; reading it with `fetch` would need a wider security policy. */
function blob(address) {
  const [head, body] = [address.slice(0, address.indexOf(",")), address.slice(address.indexOf(",") + 1)];
  const type = head.slice(5).split(";")[0];
  if (!head.endsWith(";base64")) return new Blob([decodeURIComponent(body)], { type });
  return new Blob([Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0))], { type });
}

function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
