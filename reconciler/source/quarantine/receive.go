package quarantine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/reconciler/source/pack"
)

const (
	// childName is the process's, by which the program knows what it is.
	childName = "gitboot-quarantine"
	// pipeSize is how much of a pack may wait for the process.
	pipeSize = 1 << 20
	// maxAnswers bounds what the process may say: a tip, encoded.
	maxAnswers = 4 << 20
)

// Files are written by the process. All are empty. The scratch file is of no
// use afterwards.
type Files struct{ Pack, Index, Scratch *os.File }

// A Result describes what was received.
type Result struct {
	Sum     plumbing.Hash // of the pack, which names it
	Objects int
}

// An answer is what the process says.
type answer struct {
	Tip     []byte `json:"tip,omitempty"`
	Sum     string `json:"sum,omitempty"`
	Objects int    `json:"objects,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Receive has the pack that fill writes received into files. The tip is judged
// by its content, as early as the pack allows; nil = none is asked for. Where
// the process ends first, stop is called, so that fill ends, too.
func Receive(ctx context.Context, fill func(io.Writer) error, stop func(), to Files, tip *pack.Tip) (Result, error) {
	result, _, err := receive(ctx, fill, stop, to, tip)
	return result, err
}

func receive(ctx context.Context, fill func(io.Writer) error, stop func(), to Files, tip *pack.Tip) (Result, *os.ProcessState, error) {
	// the process is told to end with the thread that started it
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	x, err := start(ctx, to, tip)
	if err != nil {
		return Result{}, nil, fmt.Errorf("starting a process that reads the pack: %w", err)
	}
	fed := make(chan error, 1)
	go func() {
		err := fill(onlyWriter{x.pack})
		fed <- err
		x.pack.Close()
	}()
	result, err := x.attend(tip)
	canceled := ctx.Err()
	if err != nil {
		x.cmd.Process.Kill()
	}
	broken, first := x.feeding(fed, err, stop)
	state, died := x.wait()
	switch {
	case canceled != nil:
		err = canceled
	case first && broken != nil && !errors.Is(broken, unix.EPIPE):
		err = broken
	case errors.Is(err, errDied):
		err = died
	}
	return result, state, err
}

// feeding waits for the end of fill, and tells whether that was before the
// process's.
func (x *process) feeding(fed <-chan error, err error, stop func()) (broken error, first bool) {
	select {
	case broken := <-fed:
		return broken, true
	default:
	}
	if err != nil {
		stop()
	}
	return <-fed, err == nil
}

// onlyWriter hides that a pipe could be written to in other ways.
type onlyWriter struct{ io.Writer }

// A process is the child, as its parent sees it.
type process struct {
	cmd     *exec.Cmd
	pack    *os.File // what it reads
	verdict *os.File // what it waits for
	answers *os.File
	words   words
}

func start(ctx context.Context, to Files, tip *pack.Tip) (*process, error) {
	x := &process{}
	ours, theirs := []**os.File{&x.pack, &x.verdict, &x.answers}, [3]*os.File{}
	for i, end := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(x.pack, x.verdict, x.answers, theirs[0], theirs[1], theirs[2])
			return nil, err
		}
		if *end, theirs[i] = w, r; end == &x.answers {
			*end, theirs[i] = r, w
		}
	}
	unix.FcntlInt(x.pack.Fd(), unix.F_SETPIPE_SZ, pipeSize) // if it may
	x.cmd = exec.CommandContext(ctx, "/proc/self/exe")
	x.cmd.Args = []string{childName}
	if tip != nil {
		x.cmd.Args = append(x.cmd.Args, tip.Name.String())
		if tip.Tag {
			x.cmd.Args = append(x.cmd.Args, "tag")
		}
	}
	x.cmd.Dir, x.cmd.Env = "/", []string{}
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = theirs[0], theirs[2], &x.words
	x.cmd.ExtraFiles = []*os.File{to.Pack, to.Index, to.Scratch, theirs[1]}
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	x.cmd.WaitDelay = time.Second
	err := x.cmd.Start()
	closeAll(theirs[:]...)
	if err != nil {
		closeAll(x.pack, x.verdict, x.answers)
	}
	return x, err
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// errDied stands for why the process ended without a last word.
var errDied = errors.New("the process that reads the pack died")

// attend reads what the process says.
func (x *process) attend(tip *pack.Tip) (Result, error) {
	in := json.NewDecoder(io.LimitReader(x.answers, maxAnswers))
	for {
		var a answer
		if err := in.Decode(&a); err != nil {
			return Result{}, errDied
		}
		switch {
		case a.Error != "":
			return Result{}, errors.New(a.Error)
		case a.Tip == nil:
			return Result{Sum: plumbing.NewHash(a.Sum), Objects: a.Objects}, nil
		}
		if err := x.judge(tip, a.Tip); err != nil {
			return Result{}, err
		}
	}
}

// judge believes nothing: the process has read what strangers wrote.
func (x *process) judge(tip *pack.Tip, content []byte) error {
	if tip == nil || plumbing.ComputeHash(tip.Kind(), content) != tip.Name {
		return errors.New("the process that reads the pack gives another tip than was asked for")
	}
	if err := tip.Judge(content); err != nil {
		return err
	}
	if _, err := x.verdict.Write([]byte{1}); err != nil {
		return errDied
	}
	return nil
}

// wait tells why the process ended, if it was not by itself.
func (x *process) wait() (*os.ProcessState, error) {
	err := x.cmd.Wait()
	closeAll(x.verdict, x.answers)
	status, _ := x.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		err = fmt.Errorf("reading it takes more than %v of processor time, or memory ran out; keep what is large out of the config repo, and name it by URL and sha256", maxTime)
	case x.words.has("out of memory"), x.words.has("cannot allocate memory"):
		err = fmt.Errorf("reading it takes more than %d MiB of memory; keep what is large out of the config repo, and name it by URL and sha256", maxMemory>>20)
	case err == nil:
		err = errors.New("the process that reads it said nothing")
	default:
		err = fmt.Errorf("the process that reads it failed: %w: %s", err, x.words.first())
	}
	return x.cmd.ProcessState, err
}
