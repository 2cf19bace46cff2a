/* In kaleido's page: every picture that Plotly makes there gets the faces of its letters, which it is measured with. */
const plain = Plotly.toImage;
const faces = loaded(headlightFaces);

Plotly.toImage = async (figure, wish) => {
  const own = await faces;
  const svg = withFaces(decoded(await plain(figure, { ...wish, format: "svg", imageDataOnly: false })), own);
  const address =
    wish.format === "svg" ? `data:image/svg+xml,${encodeURIComponent(svg)}` : (await onCanvas(svg, wish)).toDataURL();
  if (!wish.imageDataOnly) return address;
  return wish.format === "svg" ? svg : address.slice(address.indexOf(",") + 1);
};
