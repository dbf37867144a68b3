package script

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var hash = regexp.MustCompile(`[0-9a-f]{64}`)

// traces TEXT PATH... prints the files that have a text in them: those of
// squashfs images, tar archives and git repos, too. Names that are hashes are
// printed as HASH.
func cmdTraces(ts *testscript.TestScript, args []string) error {
	t := &traces{text: []byte(args[0]), temp: ts.MkAbs("traces.tmp")}
	if err := os.MkdirAll(t.temp, 0o700); err != nil {
		return err
	}
	for _, name := range args[1:] {
		if err := t.folder(ts.MkAbs(name), name); err != nil {
			return err
		}
	}
	slices.Sort(t.found)
	for _, name := range slices.Compact(t.found) {
		fmt.Fprintln(ts.Stdout(), name)
	}
	if t.read == 0 {
		return errors.New("there was nothing to read")
	}
	return os.RemoveAll(t.temp)
}

type traces struct {
	text  []byte
	temp  string
	found []string
	read  int
}

func (t *traces) folder(dir, name string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() && !d.IsDir() {
			return err
		}
		inside := name + strings.TrimPrefix(path, dir)
		if !d.IsDir() {
			return t.file(path, inside)
		}
		if _, err := os.Stat(filepath.Join(path, "objects/pack")); err != nil {
			return nil
		}
		objects, err := exec.Command("git", "-c", "safe.directory=*", "--git-dir", path, "cat-file", "--batch-all-objects", "--batch").Output()
		t.look(objects, inside+": objects")
		return err
	})
}

func (t *traces) file(path, name string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	t.look(data, name)
	switch {
	case bytes.HasPrefix(data, []byte("hsqs")):
		dir := filepath.Join(t.temp, strconv.Itoa(t.read))
		if out, err := exec.Command("unsquashfs", "-n", "-q", "-d", dir, path).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return t.folder(dir, name+": ")
	case strings.HasSuffix(path, ".gitboot"):
		return t.archive(data, name)
	}
	return nil
}

func (t *traces) archive(data []byte, name string) error {
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		path := filepath.Join(t.temp, "entry")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		if err := t.file(path, name+": "+h.Name); err != nil {
			return err
		}
	}
}

func (t *traces) look(data []byte, name string) {
	t.read++
	if bytes.Contains(data, t.text) {
		t.found = append(t.found, hash.ReplaceAllString(name, "HASH"))
	}
}

// [!] remembers TEXT PIDFILE looks for a text in all memory that a process could
// have written to, as a core dump would hold it. That it has it no more is waited for: what
// is at work forgets when it is done.
func cmdRemembers(ts *testscript.TestScript, neg bool, args []string) {
	pid, text := strings.TrimSpace(ts.ReadFile(args[1])), []byte(args[0])
	places, err := remembered(pid, text)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); neg && len(places) > 0 && err == nil && time.Now().Before(end); <-tick.C {
		places, err = remembered(pid, text)
	}
	ts.Check(err)
	if neg && len(places) > 0 {
		ts.Fatalf("it remembers %q:\n%s", args[0], strings.Join(places, "\n"))
	}
	if !neg && len(places) == 0 {
		ts.Fatalf("it does not remember %q", args[0])
	}
}

func remembered(pid string, text []byte) (places []string, err error) {
	maps, err := os.Open("/proc/" + pid + "/maps")
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	memory, err := os.Open("/proc/" + pid + "/mem")
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(mode, "rw") {
			continue
		}
		data := make([]byte, to-from)
		n, err := memory.ReadAt(data, int64(from))
		if err != nil && n == 0 {
			continue // what is only reserved
		}
		for at := 0; ; {
			i := bytes.Index(data[at:n], text)
			if i < 0 {
				break
			}
			at += i
			places = append(places, fmt.Sprintf("%s at %x: %q", lines.Text(), from+uint64(at), data[max(0, at-100):min(n, at+100)]))
			at++
		}
	}
	return places, lines.Err()
}
