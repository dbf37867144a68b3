package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A Recorder is a disk that keeps each write and flush in a log, in the
// form of Linux's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst).
type Recorder struct {
	// Device is the block device, if there is one, File the same as a file, and Log
	// the log's.
	Device, File, Log string

	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// maxLog is how long a log may become; the file is sparse.
const maxLog = 8 << 30

// Record gives a device whose content is a raw disk image, and which is File, too.
// Stop ends it, when nothing is mounted from it.
func Record(ctx context.Context, dir, image string) (*Recorder, error) {
	r, err := RecordFile(ctx, dir, image)
	if err != nil {
		return nil, err
	}
	// Without direct I/O: a file system that was made through it came out damaged.
	out, err := Run(ctx, "losetup", "--find", "--show", r.File)
	if err != nil {
		return nil, errors.Join(err, r.end())
	}
	r.Device = strings.TrimSpace(out)
	return r, nil
}

// RecordFile gives a file whose content is a raw disk image, for a machine or to mount
// parts of. QEMU records what is written to it: its storage daemon shows the disk by
// FUSE. The files it needs lie in dir.
func RecordFile(ctx context.Context, dir, image string) (*Recorder, error) {
	r := &Recorder{Log: filepath.Join(dir, "writes.log"), File: filepath.Join(dir, "disk")}
	for path, size := range map[string]int64{r.Log: maxLog, r.File: 0} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
			return nil, err
		}
	}
	if err := r.start(ctx, image); err != nil {
		return nil, fmt.Errorf("record what is written to %s: %w", image, err)
	}
	return r, nil
}

// start returns when the daemon's monitor greets, which it does last.
func (r *Recorder) start(ctx context.Context, image string) (err error) {
	r.cmd = exec.CommandContext(ctx, "qemu-storage-daemon",
		"--blockdev", "driver=file,node-name=image,filename="+image,
		"--blockdev", "driver=file,node-name=log,filename="+r.Log,
		"--blockdev", "driver=blklogwrites,node-name=recorded,file=image,log=log,log-sector-size=512,log-super-update-interval=1",
		"--export", "type=fuse,id=export,node-name=recorded,writable=on,mountpoint="+r.File,
		"--chardev", "stdio,id=monitor", "--monitor", "chardev=monitor")
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C unmounts first
	var log strings.Builder
	r.cmd.Stderr = &log
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := r.cmd.Start(); err != nil {
		return fmt.Errorf("%w; run tests/deps.sh test", err)
	}
	read := bufio.NewReader(stdout)
	if _, err := read.ReadString('\n'); err != nil {
		return errors.Join(err, r.cmd.Wait(), errors.New(tail(log.String(), 1000)))
	}
	go io.Copy(io.Discard, read)
	return nil
}

// Stop ends the recording. The log is whole then.
func (r *Recorder) Stop() error {
	if r.Device == "" {
		return r.end()
	}
	out, err := exec.Command("losetup", "--detach", r.Device).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("detach %s: %w: %s", r.Device, err, out)
	}
	return errors.Join(err, r.end())
}

func (r *Recorder) end() error {
	_, err := io.WriteString(r.stdin, `{"execute":"qmp_capabilities"}{"execute":"quit"}`+"\n")
	return errors.Join(err, r.cmd.Wait()) // which closes stdin
}
