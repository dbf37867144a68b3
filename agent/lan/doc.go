// Package lan lets machines of one network find each other: those that give what is on
// their stages (package mirror) answer who looks for them, by DNS-SD (RFC 6763) over
// multicast DNS (RFC 6762), as _gitboot._tcp.local, by IPv4 and IPv6.
//
// Nobody is believed. What an answer says is a port and whether TLS is spoken there; the
// address is that of its sender, which has to be in one of the networks that this machine
// is in, and private or link-local. What is then fetched from there is compared with its
// digest by who fetches it.
//
// Names are not probed for, and nothing is said unasked but that what was said is over: who
// looks takes whoever answers within a second or two, and keeps no names.
package lan

import "time"

const (
	// Service is the type by which machines are looked for.
	Service = "_gitboot._tcp.local."
	// patience is how long answers are waited for. Who has just said the same to others is
	// silent for about as long (RFC 6762, 6), and is asked a second time.
	patience  = time.Second
	questions = 2
	// Found and asked at most.
	maxPeers = 8
	maxLinks = 16
	// maxPacket is how long a message may be (RFC 6762, 17).
	maxPacket = 9000
)
