// Package loader says what a boot loader must do for gitboot. A boot loader that
// can is in a package of its own beside this one, and passes package suite.
package loader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
)

// A Loader publishes the boot menu of one stage.
type Loader interface {
	// Check finds out, before anything is fetched, whether the boot loader can
	// boot from a stage that lies there, and says what to do if not. Where it
	// cannot read the stage itself, it may be that copies of what the menu names
	// can lie where it reads them.
	Check(ctx context.Context, stage boot.Filesystem) error
	// Entries returns the ids of the entries that are published.
	Entries() (map[string]bool, error)
	// Stale says why what is published is not this menu with all that it needs,
	// "" if it is. A menu that could not be shown is an error.
	Stale(ctx context.Context, m boot.Menu) (string, error)
	// Fits reports, as a *NoRoomError, that there is too little room for what
	// Publish would have to copy.
	Fits(ctx context.Context, m boot.Menu) error
	// Publish makes this the menu, for each boot from now on: whenever the
	// power is cut, there is the one before or this one (or what both have in
	// common, where there is no room for more at a time). A menu that is
	// published already is not written again.
	Publish(ctx context.Context, m boot.Menu) error
	// Linked reports whether the boot loader shows what is published for a
	// stage that lies there.
	Linked(ctx context.Context, stage boot.Filesystem) (bool, error)
	// Link makes the boot loader show the menu of a stage that lies there, and
	// of no other.
	Link(ctx context.Context, stage boot.Filesystem) error
	// Unlink takes back all that Link did, and removes copies. What is published
	// on the stage is left.
	Unlink() error
}

// A Counting is a boot loader that can be asked for an entry once, and that counts
// the boots of one: it remembers something from one boot to the next.
type Counting interface {
	// Memory finds where the boot loader of a stage that lies there keeps what it
	// remembers. The error says why it could not write that down, so that what is
	// asked for once would boot for ever, and no boot would be counted.
	Memory(ctx context.Context, stage boot.Filesystem) (Memory, error)
}

// A Memory is a boot loader's.
type Memory interface {
	// Read reads it. What is damaged is an error.
	Read() (boot.Memory, error)
	// Change changes it, the whole of it if it is damaged. When that returns, the
	// boot loader finds what was written.
	Change(do func(*boot.Memory)) error
	// Location is where process 1 finds it, the zero Location if that is
	// deployment.BlockFile of the stage.
	Location() deployment.Location
}

// A Restarting is a boot loader without a menu of its own. What it does not boot by itself,
// be it on trial or asked for, it boots only if the machine is restarted for that; nobody
// but who restarts it counts.
type Restarting interface {
	// Restart has an entry of the published menu boot if the machine is restarted with the
	// argument that it returns (reboot(2), LINUX_REBOOT_CMD_RESTART2), and then only. It is
	// "" if the entry boots by itself.
	Restart(ctx context.Context, m boot.Menu, entry string) (argument string, err error)
}

// A Tracing is a boot loader whose files on the disk can be told from those that were
// written, which is how it is found out that something else has changed them.
type Tracing interface {
	// Trace returns what Publish and Link write of a menu.
	Trace(ctx context.Context, m boot.Menu) ([]Trace, error)
}

// A Shared is a boot loader that shows other systems, too, and can tell of them.
type Shared interface {
	Others() Others
}

// Others are what else a boot loader shows.
type Others struct {
	// Known reports whether that can be seen, and None that there is no entry of another
	// system.
	Known, None bool
	// Asked is the entry that somebody else has asked for at the next boot, "" if nobody
	// has, or if that cannot be seen.
	Asked string
}

// A Trace is a file of a boot loader's, or a part of one that is others' else.
type Trace struct {
	// Name is its path, below the stage or absolute.
	Name string
	Part bool
	// Copy says that it is a copy of one of the stage's objects, One that it is one
	// entry: of both there are others at other times.
	Copy, One bool
	// Want is a checksum of what it is to hold, and Have of what it holds, "" if it is
	// not there.
	Want, Have string
}

// PartOf is the trace of a part of a file that is others' else, nil where it is not there.
func PartOf(path string, want, have []byte) Trace {
	return Trace{Name: path, Part: true, Want: Sum(want), Have: Sum(have)}
}

// Sum is the checksum of a text in a trace, "" of none.
func Sum(text []byte) string {
	if text == nil {
		return ""
	}
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}
