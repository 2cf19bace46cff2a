/* Remembers in the visitor's own browser that somebody has been here, so that the ways in are not shown again. */
export default function ({ data }) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${data.name}=1; path=/; max-age=31536000; SameSite=Lax${secure}`;
}
