package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPublishReplacesOnlyTheTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	page := "# Before\n\n" + beginMark + "\nold\n" + endMark + "\nafter\n"
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	var rep report
	rep.add(row{id: "one", what: "a `b | c`", against: "d"}, result{
		Ours: "1", Theirs: "2", Checks: []check{atMost(0.5, 1), fasterBy(0.5, 12)}, Commands: []string{"x", "y"},
	})
	for range 2 { // the second time over its own work
		if err := rep.publish(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	for _, want := range []string{"# Before\n\n" + beginMark, endMark + "\nafter\n", `a ` + "`b \\| c`", "0.5 times | at most 1 times | met", "2 times faster | at least 12 times faster | missed"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	if strings.Contains(text, "old") {
		t.Error("the old table is still there")
	}
}

func TestMedianRatioIsOfPairs(t *testing.T) {
	var pairs []pair
	for _, p := range [][2]time.Duration{{1, 2}, {100, 10}, {3, 4}} {
		pairs = append(pairs, pair{usage{Wall: p[0]}, usage{Wall: p[1]}})
	}
	if got := medianRatio(pairs); got != 0.75 {
		t.Errorf("the median is %v", got)
	}
}

func TestHarmlessCalls(t *testing.T) {
	for line, want := range map[string]bool{
		`12 openat(AT_FDCWD, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3`:     true,
		`12 openat(AT_FDCWD, "/dev/null", O_RDWR) = 3`:                  true,
		`12 openat(AT_FDCWD, "/s/x", O_WRONLY|O_CREAT, 0600) = 3`:       false,
		`12 openat(AT_FDCWD, "/s/x", O_RDWR) = -1 ENOENT (No such …)`:   false,
		`12 renameat(AT_FDCWD, "/s/a", AT_FDCWD, "/s/b") = 0`:           false,
		`12 flock(4, LOCK_EX) = 0`:                                      false,
		`12 openat(AT_FDCWD, "/s/x", O_RDONLY|O_CREAT <unfinished ...>`: false,
		`12 <... openat resumed>) = 3`:                                  true,
		`12 --- SIGURG {si_signo=SIGURG} ---`:                           true,
		`12 +++ exited with 0 +++`:                                      true,
	} {
		if got := !writes(line); got != want {
			t.Errorf("harmless is %v: %s", got, line)
		}
	}
}
