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
  said.style.cssText = "margin: 4px 0 0; min-height: 1.4em; font: calc(13 * var(--hl-px, 1px))/1.4 var(--st-font); color: var(--st-text-color)";
  root.replaceChildren(said);
  return said;
}

async function draw({ script, faces, spec, address, kind, name, size }) {
  const [Plotly, own, figure] = await Promise.all([plotly(script), ownFaces(faces), spec ? JSON.parse(spec) : fetched(address)]);
  const svg = withFaces(decoded(await Plotly.toImage(figure, { ...size, format: "svg" })), own);
  save(kind === "svg" ? new Blob([svg], { type: "image/svg+xml" }) : await asPng(await onCanvas(svg, size)), name);
}

function asPng(canvas) {
  return new Promise((resolve, reject) =>
    canvas.toBlob((content) => (content ? resolve(content) : reject(new Error())), "image/png"),
  );
}

/* The faces of letters, fetched once a visit; where they do not arrive, the next ones of each list are drawn. */
function ownFaces(address) {
  return (globalThis.headlightFaces ??= fetched(address).then(loaded).catch(() => {
    globalThis.headlightFaces = undefined; // the next wish tries again
    return {};
  }));
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

function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
