/**
 * What happens when the server dies: it is started again, the user hears of it once, and a server that keeps dying is left
 * alone. Times come in, decisions go out. Knows nothing of VS Code.
 */

export const MOST = 4;
export const WITHIN = 3 * 60_000; // milliseconds

export type Decision = "restart and say so" | "restart" | "give up" | "never ran";

export class Restarts {
  private times: number[] = [];
  private said = false;

  /** The server has died at `now`, in milliseconds of any clock; `ran`: it had been ready once. */
  decide(now: number, ran: boolean): Decision {
    if (!ran) {
      return "never ran";
    }
    this.times = [...this.times.filter((time) => now - time < WITHIN), now];
    if (this.times.length > MOST) {
      this.times = [];
      return "give up";
    }
    const first = !this.said;
    this.said = true;
    return first ? "restart and say so" : "restart";
  }
}
