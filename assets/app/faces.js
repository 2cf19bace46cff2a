/* What a picture's file needs beside Plotly's drawing: the faces of its letters, and pixels where it is a PNG. */
const WEIGHTS = "400 700";

/* Faces, family → data address, loaded into this page: what it has at hand, an image is drawn with at once. Without
   that Chromium draws its letters when they have arrived, which is too late for a canvas. */
async function loaded(faces) {
  const load = ([family, address]) => new FontFace(family, `url(${address})`, { weight: WEIGHTS }).load();
  for (const face of await Promise.all(Object.entries(faces).map(load))) document.fonts.add(face);
  return faces;
}

/* The picture with those faces in it that it names: neither a file nor an image sees a page's. */
function withFaces(svg, faces) {
  const used = Object.entries(faces).filter(([family]) => svg.includes(family));
  const rules = used.map(([family, address]) => `@font-face{font-family:"${family}";font-weight:${WEIGHTS};src:url(${address})}`);
  const begins = svg.indexOf(">", svg.indexOf("<svg")) + 1;
  return `${svg.slice(0, begins)}<style>${rules.join("")}</style>${svg.slice(begins)}`;
}

/* The text of Plotly's drawing, which it gives as an address. */
function decoded(address) {
  return decodeURIComponent(address.slice(address.indexOf(",") + 1));
}

/* A drawing on a canvas, as many pixels as its size and scale say. */
async function onCanvas(svg, { width, height, scale }) {
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  const [image, canvas] = [new Image(), document.createElement("canvas")];
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  try {
    image.src = address;
    await image.decode();
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  } finally {
    URL.revokeObjectURL(address);
  }
  return canvas;
}
