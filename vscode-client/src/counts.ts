/** The server's statistics as words: its object of numbers comes in, a name and a number for each go out. */

export function counts(numbers: Readonly<Record<string, unknown>>): [string, string][] {
  return Object.entries(numbers)
    .filter((entry): entry is [string, number] => typeof entry[1] === "number")
    .map(([name, value]) => [words(name), value.toLocaleString("en", { maximumFractionDigits: 2 })]);
}

/** "fromCache" -> "From cache" */
function words(name: string): string {
  const spaced = name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`).trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
