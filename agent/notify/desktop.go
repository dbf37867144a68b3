package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gitboot/gitboot/reconciler/event"
)

// sessions is where those who are logged in have a folder each, by user id
// (pam_systemd(8)), with the socket of their message bus.
const sessions = "/run/user"

// People's user ids, as systemd and distributions have them (systemd.io/UIDS-GIDS).
const firstPerson, nobody = 1000, 65534

// A desktop tells who is logged in, by the desktop notifications specification
// (specifications.freedesktop.org/notification).
type desktop struct{ sessions string }

// tell tells everybody. That somebody has no notification service is no failure;
// that all who are there have refused it is.
func (d desktop) tell(ctx context.Context, e event.Event) error {
	var errs []error
	told := 0
	for _, who := range d.people() {
		if err := d.tellOne(ctx, who, e); err != nil {
			errs = append(errs, fmt.Errorf("user %d: %w", who.Uid, err))
			continue
		}
		told++
	}
	if told > 0 {
		return nil
	}
	return errors.Join(errs...)
}

// people are who has a session with a message bus.
func (d desktop) people() (who []*syscall.Credential) {
	folders, _ := os.ReadDir(d.sessions) // not there: nobody is
	for _, f := range folders {
		uid, err := strconv.ParseUint(f.Name(), 10, 32)
		if err != nil || uid < firstPerson || uid == nobody {
			continue
		}
		info, err := os.Lstat(filepath.Join(d.sessions, f.Name()))
		if err != nil || !info.IsDir() {
			continue
		}
		own := info.Sys().(*syscall.Stat_t)
		if bus, err := os.Lstat(d.bus(own.Uid)); own.Uid != uint32(uid) || err != nil || bus.Mode().Type() != os.ModeSocket {
			continue
		}
		who = append(who, &syscall.Credential{Uid: own.Uid, Gid: own.Gid})
	}
	return who
}

func (d desktop) bus(uid uint32) string {
	return filepath.Join(d.sessions, strconv.FormatUint(uint64(uid), 10), "bus")
}

// tellOne calls the notification service as the user whose it is: busctl is there
// wherever there is systemd, and gets no right of ours.
func (d desktop) tellOne(ctx context.Context, who *syscall.Credential, e event.Event) error {
	as := who
	if os.Geteuid() != 0 {
		as = nil
	}
	title, text := words(e)
	urgency := "1"
	if urgent(e) {
		urgency = "2"
	}
	const service = "org.freedesktop.Notifications"
	out, err := run(ctx, as, nil, "busctl", "--address=unix:path="+d.bus(who.Uid), "--", "call", service, "/org/freedesktop/Notifications", service, "Notify",
		"susssasa{sv}i", "gitboot", "0", "system-software-update", title, markup(text), "0", "2", "urgency", "y", urgency, "desktop-entry", "s", "gitboot", "-1")
	if err != nil {
		return fmt.Errorf("%w%s", err, after(out))
	}
	return nil
}

// markup is a text in which a desktop finds no markup.
func markup(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
