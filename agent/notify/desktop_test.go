package notify

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/tests/need"
)

// busOf says in which bus this process is to be the notification service.
const busOf = "NOTIFICATIONS_OF"

func TestMain(m *testing.M) {
	if address := os.Getenv(busOf); address != "" {
		fmt.Println(serve(address))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A shown is what a desktop shows, as the specification names it.
type shown struct {
	App, Icon, Summary, Body string
	Urgency                  byte
	Expire                   int32
	By                       uint32
}

// notifications is the service of the specification, which prints what it shows.
type notifications struct{ conn *dbus.Conn }

func (n notifications) Notify(from dbus.Sender, app string, _ uint32, icon, summary, body string, _ []string, hints map[string]dbus.Variant, expire int32) (uint32, *dbus.Error) {
	s := shown{App: app, Icon: icon, Summary: summary, Body: body, Expire: expire}
	s.Urgency, _ = hints["urgency"].Value().(byte)
	if err := n.conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixUser", 0, string(from)).Store(&s.By); err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	fmt.Println(string(text))
	return 7, nil
}

func serve(address string) error {
	conn, err := dbus.Connect(address)
	if err != nil {
		return err
	}
	if err := conn.Export(notifications{conn}, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		return err
	}
	if reply, err := conn.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		return fmt.Errorf("own the name: %v, %w", reply, err)
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// start starts a program as a user, and returns the lines that it prints.
func start(t *testing.T, uid uint32, env []string, name string, args ...string) *bufio.Reader {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir, cmd.Stderr = env, "/", os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return bufio.NewReader(out)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return strings.TrimSpace(text)
}

// session makes the folder of a session, whose owner is who.
func session(t *testing.T, sessions, name string, who uint32) string {
	t.Helper()
	dir := filepath.Join(sessions, name)
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chown(dir, int(who), int(who)))
	return dir
}

// Who sits at the machine is told by their desktop, in a real session bus, which
// lets in its own user alone: not even root.
func TestDesktop(t *testing.T) {
	need.Root(t)
	need.Programs(t, "dbus-daemon", "busctl", "setpriv", "unshare")
	const uid, other = 61001, 61002
	sessions := t.TempDir()
	must(t, os.Chmod(filepath.Dir(sessions), 0o755))
	must(t, os.Chmod(sessions, 0o755))
	d := desktop{sessions}
	must(t, d.tell(t.Context(), failed)) // nobody is there

	address := "unix:path=" + filepath.Join(session(t, sessions, strconv.Itoa(uid), uid), "bus")
	users := filepath.Join(sessions, "passwd")
	must(t, os.WriteFile(users, []byte("ada:x:61001:61001::/:/bin/sh\n"), 0o644)) // whom the bus looks up
	const asAda = `mount --bind "$1" /etc/passwd; shift; exec setpriv --reuid=61001 --regid=61001 --clear-groups dbus-daemon "$@"`
	line(t, start(t, 0, nil, "unshare", "--mount", "sh", "-ec", asAda, "sh", users, "--session", "--nofork", "--nopidfile", "--address="+address, "--print-address=1"))
	if err := d.tell(t.Context(), failed); err == nil || !strings.Contains(err.Error(), "user 61001: ") {
		t.Errorf("where no service shows anything: %v", err)
	}
	service := start(t, uid, []string{busOf + "=" + address}, "/proc/self/exe")
	if got := line(t, service); got != "ready" {
		t.Fatal(got)
	}
	if out, err := run(t.Context(), nil, nil, "busctl", "--address="+address, "--", "list"); err == nil {
		t.Errorf("root is let in: %s", out)
	}
	// None of these is somebody's session.
	for name, owner := range map[string]uint32{"61002": uid, "61003": 0, "0": 0, "65534": 65534, "x": other} {
		l, err := net.Listen("unix", filepath.Join(session(t, sessions, name, owner), "bus"))
		must(t, err)
		defer l.Close()
	}
	for _, c := range []struct {
		e    event.Event
		want shown
	}{
		{failed, shown{Summary: "gitboot on laptöp", Body: `image "desktop" fails: no such tag red`, Urgency: 2}},
		{event.Event{Kind: event.RebootNeeded, Machine: "m", Reason: "-1 <b>&"}, shown{Summary: "gitboot on m", Body: "a reboot is needed: -1 &lt;b&gt;&amp;", Urgency: 1}},
	} {
		must(t, d.tell(t.Context(), c.e))
		var got shown
		must(t, json.Unmarshal([]byte(line(t, service)), &got))
		c.want.App, c.want.Icon, c.want.Expire, c.want.By = "gitboot", "system-software-update", -1, uid
		if got != c.want {
			t.Errorf("shown is %+v", got)
		}
	}
}
