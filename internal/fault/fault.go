// Package fault names the points at which a crash test may cut a run. In
// release builds Point is empty and inlined away; a build with the tag
// "faults" obeys the environment:
//
//	GITBOOT_FAULT=<name>:kill     SIGKILL this process at the point
//	GITBOOT_FAULT=<name>#2:kill   the same, the second time it gets there
//	GITBOOT_FAULT=<name>:term     SIGTERM it, and note that in <file>.term
//	GITBOOT_FAULT=<name>:int      SIGINT to its process group, as a terminal sends it
//	GITBOOT_FAULT=<name>:stop     SIGSTOP it, until SIGCONT comes
//	GITBOOT_FAULT=<name>:error    the point returns an error
//	GITBOOT_FAULT=<name>:enospc   the point returns ENOSPC
//	GITBOOT_FAULT=<name>:eio      the point returns EIO, and so EROFS with erofs
//	GITBOOT_FAULT_LIST=<file>     append every point's name as it is passed
package fault
