package rehearsal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/stage"
)

// logsKept is how many logs of boot tests a stage keeps.
const logsKept = 10

// NewLog makes a file without a name in a folder, for what a machine prints: a stage may
// be read-only as long as that runs.
func NewLog(dir string) (log *os.File, discard func() error, err error) {
	if log, err = os.CreateTemp(dir, "gitboot-console-"); err != nil {
		return nil, nil, fmt.Errorf("log what a virtual machine prints: %w", err)
	}
	if err := os.Remove(log.Name()); err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	return log, log.Close, nil
}

// KeepLog keeps the log of a generation's boot test on the stage in dir, whose lock the
// caller holds, and removes the oldest ones.
func KeepLog(dir, image string, generation int, began time.Time, log *os.File) error {
	folder := filepath.Join(dir, stage.BootTestsDir)
	if err := durable.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	logs, err := logs(dir)
	if err != nil {
		return err
	}
	for _, old := range logs[:max(0, len(logs)-logsKept+1)] {
		if err := os.Remove(filepath.Join(folder, old)); err != nil {
			return err
		}
	}
	name := began.UTC().Format("20060102T150405Z") + "-" + image + "-" + strconv.Itoa(generation) + ".log"
	to, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(log, 0, 2<<30))
	if err = errors.Join(err, to.Close()); err != nil {
		err = errors.Join(err, os.Remove(to.Name())) // half a log says what was not so
	}
	return err
}

// logs are the names of those on a stage, oldest first.
func logs(dir string) ([]string, error) {
	found, err := fs.Glob(os.DirFS(filepath.Join(dir, stage.BootTestsDir)), "*-*-*.log")
	slices.Sort(found)
	return found, err
}

// LastLog opens the log of the last boot test on the stage in dir, or of the last one of
// IMAGE or IMAGE:GENERATION.
func LastLog(dir, name string) (*os.File, error) {
	all, err := logs(dir)
	if err != nil {
		return nil, err
	}
	var tested []string
	for _, log := range slices.Backward(all) {
		_, of, _ := strings.Cut(strings.TrimSuffix(log, ".log"), "-")
		at := strings.LastIndexByte(of, '-')
		image, generation := of[:at], of[:at]+":"+of[at+1:]
		if name == "" || name == image || name == generation {
			return os.Open(filepath.Join(dir, stage.BootTestsDir, log))
		}
		tested = append(tested, generation)
	}
	if len(tested) == 0 {
		return nil, errors.New("this machine has made no boot test; `boot_test = \"on\"` in the config repo has it make them")
	}
	return nil, fmt.Errorf("no boot test of %q is remembered%s; there are those of %s", name, nearest.Hint(name, tested), nearest.List(tested))
}
