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

async function draw({ script, spec, address, kind, name, size }) {
  const [Plotly, figure] = await Promise.all([plotly(script), spec ? JSON.parse(spec) : fetched(address)]);
  const bare = decoded(await Plotly.toImage(figure, { ...size, format: "svg" }));
  const picture = new Blob([await withFaces(bare)], { type: "image/svg+xml" });
  save(kind === "svg" ? picture : await rasterised(picture, size), name);
}

/* The picture with the page's own faces in it: a file, and an image that is drawn on a canvas, do not see the page's. */
async function withFaces(svg) {
  const used = faces().filter(({ family, italic }) => svg.includes(family) && (!italic || svg.includes("italic")));
  const rules = await Promise.all(used.map(faceAsText));
  const begins = svg.indexOf(">", svg.indexOf("<svg")) + 1;
  return `${svg.slice(0, begins)}<style>${rules.join("")}</style>${svg.slice(begins)}`;
}

/* The faces that the page's style sheets declare, each once. */
function faces() {
  const found = new Map();
  for (const sheet of document.styleSheets) {
    for (const rule of rulesOf(sheet)) {
      if (!(rule instanceof CSSFontFaceRule)) continue;
      const family = unquoted(rule.style.getPropertyValue("font-family"));
      const [, url = ""] = rule.style.getPropertyValue("src").split("url(");
      const source = unquoted(url.split(")")[0]);
      const [style, weight] = ["font-style", "font-weight"].map((name) => rule.style.getPropertyValue(name) || "normal");
      const address = source && new URL(source, sheet.href ?? document.baseURI).href;
      if (source) found.set(`${family} ${style} ${weight}`, { family, style, weight, address, italic: style === "italic" });
    }
  }
  return [...found.values()];
}

function unquoted(text) {
  return text.replaceAll('"', "").replaceAll("'", "");
}

function rulesOf(sheet) {
  try {
    return sheet.cssRules;
  } catch {
    return []; // a sheet of another host, which no page of ours has
  }
}

const texts = new Map(); // address → the face as a data address, fetched once a visit
async function faceAsText({ family, style, weight, address }) {
  if (!texts.has(address)) texts.set(address, asData(address));
  const data = await texts.get(address);
  return data ? `@font-face{font-family:"${family}";font-style:${style};font-weight:${weight};src:url(${data})}` : "";
}

/* A face that does not arrive leaves its letters to the next one of the list. */
async function asData(address) {
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok) return "";
  const content = await answer.blob();
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(content);
  });
}

/* A drawing as a PNG, as many pixels as its size and scale say. */
async function rasterised(drawing, { width, height, scale }) {
  const [image, canvas, address] = [new Image(), document.createElement("canvas"), URL.createObjectURL(drawing)];
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  try {
    image.src = address;
    await image.decode();
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  } finally {
    URL.revokeObjectURL(address);
  }
  return new Promise((resolve, reject) =>
    canvas.toBlob((content) => (content ? resolve(content) : reject(new Error())), "image/png"),
  );
}

function decoded(address) {
  return decodeURIComponent(address.slice(address.indexOf(",") + 1));
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
