package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/gitboot/gitboot/tests/lab"
)

// idle compares a run that has nothing to do with asking the repo whether
// there is anything new, and traces that it writes nothing.
func idle(ctx context.Context, s *site, r row) (result, error) {
	w, err := s.changing(ctx, "")
	if err != nil {
		return result{}, err
	}
	args := w.args("reconcile", "--once")
	ours := side{command: shown("reconcile --once"), run: func(ctx context.Context, _ int) (usage, error) {
		return command(ctx, args...)
	}}
	theirs := side{command: "git ls-remote REPO", run: func(ctx context.Context, _ int) (usage, error) {
		return command(ctx, "git", "ls-remote", w.repo.Dir)
	}}
	res, err := timed(ctx, r, ours, theirs, func(ratio float64) check { return atMost(ratio, 3) })
	if err != nil {
		return res, err
	}
	writes, err := s.traceWrites(ctx, args)
	if err != nil {
		return res, err
	}
	found := fmt.Sprintf("%d writes", len(writes))
	if len(writes) > 0 {
		res.Note = "Traced: " + strings.Join(writes, "; ")
	}
	res.Checks = append(res.Checks, check{"not one write", found, len(writes) == 0})
	res.Commands = append(res.Commands, "strace -f -e trace="+writingCalls+" "+shown("reconcile --once"))
	return res, nil
}

// writingCalls are the system calls that change a file system or take a lock;
// of the calls that open, those that may write count.
const writingCalls = "open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat," +
	"link,linkat,symlink,symlinkat,mknod,mknodat,truncate,ftruncate,fallocate,chmod,fchmod,fchmodat," +
	"chown,lchown,fchown,fchownat,utimensat,setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr," +
	"mount,umount2,fsync,fdatasync,sync,syncfs,flock"

var (
	opens      = regexp.MustCompile(`\b(open|openat|openat2)\(`)
	mayWrite   = regexp.MustCompile(`O_WRONLY|O_RDWR|O_CREAT|O_TRUNC`)
	notOnDisks = regexp.MustCompile(`"(/dev/null|/dev/tty|/proc/[^"]*)"`)
	tracedCall = regexp.MustCompile(`\b[a-z0-9]+\(`)
)

// traceWrites runs a command and returns its calls that may write.
func (s *site) traceWrites(ctx context.Context, args []string) ([]string, error) {
	trace := s.path("trace")
	if _, err := lab.Run(ctx, "strace", append([]string{"-f", "-qq", "-o", trace, "-e", "trace=" + writingCalls}, args...)...); err != nil {
		return nil, err
	}
	f, err := os.Open(trace)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found []string
	lines := 0
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		lines++
		if writes(scan.Text()) {
			found = append(found, scan.Text())
		}
	}
	if lines == 0 {
		return nil, errors.New("strace saw no call at all")
	}
	return found, scan.Err()
}

// writes reports whether a line of strace's is a call that may write.
func writes(line string) bool {
	harmless := opens.MatchString(line) && (!mayWrite.MatchString(line) || notOnDisks.MatchString(line))
	return tracedCall.MatchString(line) && !harmless
}

// diskUse is what the files below a folder take on the disk, in bytes.
func diskUse(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	return sum, err
}

// generations counts the machine's deployments.
func (w *world) generations() (int, error) {
	found, err := filepath.Glob(filepath.Join(w.stage, "deployments", "*.json"))
	return len(found), err
}

func initSize(_ context.Context, s *site, _ row) (result, error) {
	info, err := os.Stat(s.path("bin", "gitboot-init"))
	if err != nil {
		return result{}, err
	}
	size := megabytes(info.Size())
	return result{
		Ours: size, Theirs: "4 MB",
		Checks:   []check{{"under 4 MB", size, info.Size() < 4e6}},
		Commands: []string{"CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' ./cmd/gitboot-init"},
	}, nil
}

// printJSON is how every sample is kept.
func printJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
