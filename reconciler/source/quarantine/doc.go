// Package quarantine receives packs in a process of their own, as a pack is a
// stranger's word until the commit that it brings is verified: its parsing may
// take no more memory, processor time and disk than is bounded here, and may
// reach nothing.
//
// The process is this program, started anew: it shares no memory with who
// holds the credentials. It is handed the pack as it comes, and files to write
// into that are open already. Before it reads a byte it gives up all else, as
// far as the kernel knows the means:
//
//   - limits of memory, processor time and file size (setrlimit(2))
//   - root's rights: it goes on as nobody
//   - files, sockets and other processes (landlock(7), all access denied)
//   - system calls but for the few that reading, writing and Go's own running
//     need (seccomp(2))
//
// It ends with its context, at once, and with who started it.
//
// # Protocol
//
// The pack is the process's standard input. It answers by one JSON value a
// line: the commit that was asked for, after which it waits for a byte on
// another pipe, and at the end what it received, or an error.
package quarantine
