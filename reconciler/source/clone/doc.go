// Package clone keeps the bare clone of a config repo: packs that are received
// in quarantine and admitted, a HEAD that is detached at the admitted tip, and
// what heals it after a cut. On disk there is always a whole one.
package clone
