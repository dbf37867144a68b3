package script

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/lab"
)

// patience is how long a script waits for something that must come. On a machine
// with a hundred things to do an engine takes half a minute to start a step.
const patience = 2 * time.Minute

type command = func(ts *testscript.TestScript, neg bool, args []string)

// commands are what scripts can do besides testscript's own; doc.go explains
// them.
func commands() map[string]command {
	return map[string]command{
		"gitboot":      cmdGitboot,
		"exits":        cmdExits,
		"commit":       only(cmdCommit),
		"edit":         only(cmdEdit),
		"kernel":       only(cmdKernel),
		"random":       only(cmdRandom),
		"push":         only(cmdPush),
		"pack":         only(cmdPack),
		"small":        only(cmdSmall),
		"registry":     only(cmdRegistry),
		"snapshot":     only(cmdSnapshot),
		"damage":       only(cmdDamage),
		"stale":        only(cmdStale),
		"lock":         only(cmdLock),
		"documented":   only(cmdDocumented),
		"until":        only(cmdUntil),
		"tmpfs":        only(cmdTmpfs),
		"ext4":         only(cmdExt4),
		"signer":       only(cmdSigner),
		"sign":         only(cmdSign),
		"buildkitd":    only(cmdBuildkitd),
		"dockerd":      only(cmdDockerd),
		"distribution": only(cmdDistribution),
		"sshd":         only(cmdSSHD),
		"traces":       only(cmdTraces),
		"remembers":    cmdRemembers,
	}
}

// only makes a command of a function that can't be negated.
func only(do func(ts *testscript.TestScript, args []string) error) command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command has no negation")
		}
		ts.Check(do(ts, args))
	}
}

// gitboot runs the program with the script's agent.toml.
func gitboot(ts *testscript.TestScript, args []string) error {
	return ts.Exec("gitboot", append([]string{"--config", ts.MkAbs(ts.Getenv("CONFIG"))}, args...)...)
}

func cmdGitboot(ts *testscript.TestScript, neg bool, args []string) {
	err := gitboot(ts, args)
	switch {
	case neg && err == nil:
		ts.Fatalf("gitboot succeeded")
	case !neg && err != nil:
		ts.Fatalf("gitboot: %v", err)
	}
}

// exits CODE ARG...
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = gitboot(ts, args[1:])
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if neg || got != want {
		ts.Fatalf("gitboot exits with %d, not %d", got, want)
	}
}

// commit MESSAGE
func cmdCommit(ts *testscript.TestScript, args []string) error {
	repo := ts.MkAbs("repo")
	err := filepath.WalkDir(repo, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.Contains(path, "/.git/") {
			return nil
		}
		return substitute(path, "REGISTRY", ts.Getenv("REGISTRY"))
	})
	if err != nil {
		return err
	}
	if err := ts.Exec("git", "-C", repo, "add", "--all"); err != nil {
		return err
	}
	return ts.Exec("git", "-C", repo, "commit", "--quiet", "--allow-empty", "--message="+args[0])
}

func substitute(path, old, replacement string) error {
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), old) {
		return err
	}
	return os.WriteFile(path, []byte(strings.ReplaceAll(string(data), old, replacement)), 0o644)
}

// edit FILE OLD NEW
func cmdEdit(ts *testscript.TestScript, args []string) error {
	if !strings.Contains(ts.ReadFile(args[0]), args[1]) {
		return fmt.Errorf("%s has no %q", args[0], args[1])
	}
	return substitute(ts.MkAbs(args[0]), args[1], args[2])
}

// kernel [-bare] DIR VERSION
func cmdKernel(ts *testscript.TestScript, args []string) error {
	bare := args[0] == "-bare"
	if bare {
		args = args[1:]
	}
	return lab.FakeKernel(ts.MkAbs(args[0]), args[1], !bare)
}

// random FILE BYTES
func cmdRandom(ts *testscript.TestScript, args []string) error {
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return writeRandom(ts.MkAbs(args[0]), size)
}

// push [--chunked] NAME:TAG DIR...
func cmdPush(ts *testscript.TestScript, args []string) error {
	makes := layerOf
	if args[0] == "--chunked" {
		makes, args = chunkedLayerOf, args[1:]
	}
	var layers []mutate.Addendum
	for _, dir := range args[1:] {
		l, err := makes(ts.MkAbs(dir))
		if err != nil {
			return err
		}
		layers = append(layers, l)
	}
	digest, err := push(context.Background(), ts.Getenv("REGISTRY")+"/"+args[0], layers...)
	if err == nil {
		ts.Setenv("DIGEST", digest)
	}
	return err
}

// pack FILE DIR
func cmdPack(ts *testscript.TestScript, args []string) error {
	path := ts.MkAbs(args[0])
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(writeTar(f, ts.MkAbs(args[1])), f.Close())
}

// small FILE [SCRIPT] makes a tar of a root file system that boots, and runs the
// script then; without one it has no init.
func cmdSmall(ts *testscript.TestScript, args []string) error {
	start := ""
	if len(args) > 1 {
		start = ts.ReadFile(args[1])
	}
	return lab.Small(context.Background(), ts.MkAbs(args[0]), start)
}

// registry fault KIND [N] | refuse STATUS | login USER PASSWORD | writer USER PASSWORD | forget | ok | stop | log | held
func cmdRegistry(ts *testscript.TestScript, args []string) error {
	r := ts.Value(registryKey{}).(*brokenRegistry)
	switch args[0] {
	case "fault":
		n := -1
		if len(args) > 2 {
			var err error
			if n, err = strconv.Atoi(args[2]); err != nil {
				return err
			}
		}
		return r.setFault(args[1], n)
	case "refuse":
		status, err := strconv.Atoi(args[1])
		r.mu.Lock()
		defer r.mu.Unlock()
		r.refuse = status
		return err
	case "login":
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reader = loginOf(args)
		return nil
	case "writer":
		r.mu.Lock()
		defer r.mu.Unlock()
		r.writer = loginOf(args)
		return nil
	case "forget":
		r.forget()
		return nil
	case "ok":
		return r.setFault("", 0)
	case "stop":
		r.stop()
		return nil
	case "log":
		r.mu.Lock()
		defer r.mu.Unlock()
		_, err := fmt.Fprintln(ts.Stdout(), strings.Join(r.log, "\n"))
		return err
	case "held":
		select {
		case <-r.held:
			return nil
		case <-time.After(patience):
			return errors.New("no answer is being held")
		}
	}
	return fmt.Errorf("registry does not know %q", args[0])
}

// snapshot FILE DIR
func cmdSnapshot(ts *testscript.TestScript, args []string) error {
	var b strings.Builder
	dir := ts.MkAbs(args[1])
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		_, err = fmt.Fprintln(&b, strings.TrimPrefix(path, dir), st.Ino, info.Mode(), info.Size(), info.ModTime().UnixNano(), st.Ctim.Nano())
		return err
	})
	if err != nil {
		return err
	}
	return os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o644)
}

// damage GLOB
func cmdDamage(ts *testscript.TestScript, args []string) error {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("%s matches no file: %v", args[0], err)
	}
	for _, path := range found {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

type lockKey struct{}

// lock DIR, or lock -release
func cmdLock(ts *testscript.TestScript, args []string) error {
	held := ts.Value(lockKey{}).(*os.File)
	if args[0] == "-release" {
		return unix.Flock(int(held.Fd()), unix.LOCK_UN)
	}
	f, err := os.Open(filepath.Join(ts.MkAbs(args[0]), "lock"))
	if err != nil {
		return err
	}
	// The script's own descriptor becomes the lock file's, so that it can be
	// released later and is closed when the script ends.
	if err := unix.Dup3(int(f.Fd()), int(held.Fd()), unix.O_CLOEXEC); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return unix.Flock(int(held.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// until FILE REGEXP
func cmdUntil(ts *testscript.TestScript, args []string) error {
	want, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if data, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && want.Match(data) {
			return nil
		}
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Logf("[%s, %v]\n%s", args[0], err, data[max(0, len(data)-4000):])
	return fmt.Errorf("%s does not come to hold %q", args[0], args[1])
}

// tmpfs DIR SIZE
func cmdTmpfs(ts *testscript.TestScript, args []string) error {
	dir := ts.MkAbs(args[0])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size="+args[1]); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", dir, err)
	}
	ts.Defer(func() { ts.Check(unix.Unmount(dir, unix.MNT_DETACH)) })
	return nil
}

// ext4 DIR SIZE OPTION... mounts a new ext4 on a disk of its own.
func cmdExt4(ts *testscript.TestScript, args []string) error {
	dir := ts.MkAbs(args[0])
	disk := dir + ".disk"
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(disk, nil, 0o600)); err != nil {
		return err
	}
	format := append(append([]string{"-q"}, args[2:]...), disk, args[1])
	if _, err := lab.Run(context.Background(), "mkfs.ext4", format...); err != nil {
		return err
	}
	if _, err := lab.Run(context.Background(), "mount", "-o", "loop", disk, dir); err != nil {
		return err
	}
	ts.Defer(func() { ts.Check(unix.Unmount(dir, unix.MNT_DETACH)) })
	return nil
}
