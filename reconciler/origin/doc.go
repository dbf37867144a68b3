// Package origin finds out where images come from: what a declaration means now,
// asked of a registry or of an archive's server, and the image opened there.
// Both who stages images and who builds on them ask it. A server that takes long
// holds up nobody but its own image.
package origin
