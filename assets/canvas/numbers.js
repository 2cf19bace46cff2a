/* Numbers as people read them: the same words as attn_core/text/numbers.py, for what is read while a pointer moves.
   A test runs both and compares them. */

const MINUS = "\u2212";

/* Like Python's f"{number:.<digits>f}": JavaScript rounds an exact half away from zero, Python to the even digit. */
function fixed(number, digits) {
  const text = number.toFixed(digits);
  const isOdd = Number(text.at(-1)) % 2 === 1;
  if (!isOdd || !isHalf(number, digits)) return text;
  return (Number(text) - Math.sign(number) * 10 ** -digits).toFixed(digits);
}

/* Whether a number lies exactly between two that have so many digits behind the point: the digits behind those are
   then a 5 and zeros, as far as a number of 64 bits has any. */
function isHalf(number, digits) {
  const exact = Math.abs(number).toFixed(Math.min(100, digits + 40));
  return /^50*$/.test(exact.split(".")[1].slice(digits));
}

/* Like Python's f"{number:.<digits>g}", but without a power of ten wherever JavaScript needs none. */
function general(number, digits) {
  const power = Number(number.toExponential(digits - 1).split("e")[1]);
  const behind = digits - 1 - power; // digits behind the point; below 0 it is rounded to tens, hundreds, …
  const unit = 10 ** -behind;
  if (behind > 50 || power > 20) return String(Number(number.toPrecision(digits)));
  if (behind < 0) return String(Number(fixed(number / unit, 0)) * unit);
  return String(Number(fixed(number, behind)));
}

/* A weight as people say it: two digits, more only where 100 % would be untrue. */
function percent(weight) {
  if (weight <= 0) return "0 %";
  if (weight < 0.0001) return "< 0.01 %";
  if (weight < 0.0995) return `${general(100 * weight, 2)} %`;
  return `${fixed(100 * weight, weight >= 0.995 && weight < 0.99995 ? 2 : 0)} %`;
}

/* A number with so many digits, without zeros that say nothing. */
function significant(number, digits = 4) {
  return number ? general(number, digits).replaceAll("-", MINUS) : "0";
}

/* A number for a small cell: whole ones as they are, others with as many decimals as there is room for. */
function inCell(number) {
  const size = Math.abs(number);
  const digits = Number.isInteger(number) || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return fixed(number || 0, digits).replace("-", MINUS);
}

/* A difference of two shares, in points of a percent, with its sign. */
function points(difference) {
  return `${difference < 0 ? MINUS : "+"}${significant(Math.abs(100 * difference), 2)} points`;
}

/* A number and its unit stay on one line. */
function unbroken(text) {
  return text.replaceAll(" %", "\u00a0%");
}
