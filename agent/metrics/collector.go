package metrics

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
)

// labels are a metric's, as the library takes them.
func (m Metric) labels() []string {
	if m.Labels == "" {
		return nil
	}
	return strings.Split(m.Labels, ", ")
}

// A collector makes gauges out of what is known at the moment.
type collector struct {
	Options

	mu     sync.Mutex
	staged report.Status
	seen   uint64
	read   time.Time
}

// fresh is how long what was read of the stage holds without an event: commands
// change it, too.
const fresh = time.Minute

// patience is how long reading the stage may take.
const patience = 10 * time.Second

// Describe tells of nothing: which series there are depends on the config repo.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect gives all gauges.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	set := func(name string, value float64, labels ...string) {
		m := find(name)
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, m.Help, m.labels(), nil), prometheus.GaugeValue, value, labels...)
	}
	now := c.Snapshot()
	collectLive(set, now)
	if staged, err := c.report(now.LastEvent); err != nil {
		c.Log.Debug("read the stage for metrics", "error", err)
	} else {
		collectStaged(set, staged)
	}
	var fs unix.Statfs_t
	if dir := c.Stage(); unix.Statfs(dir, &fs) == nil {
		set("gitboot_stage_size_bytes", float64(fs.Blocks)*float64(fs.Bsize))
		set("gitboot_stage_free_bytes", float64(fs.Bavail)*float64(fs.Bsize))
	}
}

// report is what is staged, read when an event has come since.
func (c *collector) report(last uint64) (report.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == last && time.Since(c.read) < fresh {
		return c.staged, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	staged, err := c.Report(ctx)
	if err == nil {
		c.staged, c.seen, c.read = staged, last, time.Now()
	}
	return staged, err
}

type setter func(name string, value float64, labels ...string)

func collectLive(set setter, s live.Status) {
	set("gitboot_build_info", 1, s.Version, runtime.Version())
	set("gitboot_machine_info", 1, s.Machine)
	for _, c := range s.Conditions {
		for _, status := range []string{live.True, live.False, live.Unknown} {
			set("gitboot_condition", truth(c.Status == status), c.Type, status)
		}
		set("gitboot_condition_since_timestamp_seconds", seconds(c.Since), c.Type)
	}
	for kind, hash := range map[string]string{"wanted": s.Wanted.Hash, "applied": s.Applied, "tried": s.Tried.Hash} {
		if hash != "" {
			set("gitboot_revision_info", 1, kind, hash)
		}
	}
	if !s.Looked.IsZero() {
		set("gitboot_looked_timestamp_seconds", seconds(s.Looked))
	}
	for _, f := range s.Failures {
		set("gitboot_failure_since_timestamp_seconds", seconds(f.Since), f.Part, f.Image)
	}
	for _, r := range s.Runs {
		set("gitboot_run_began_timestamp_seconds", seconds(r.Began), r.Part)
	}
	type thing struct{ what, image string }
	next := map[thing]time.Time{}
	for _, n := range slices.Backward(s.Next) { // the soonest is first
		next[thing{n.What, n.Image}] = n.Time
	}
	for is, at := range next {
		set("gitboot_next_timestamp_seconds", seconds(at), is.what, is.image)
	}
}

func collectStaged(set setter, s report.Status) {
	set("gitboot_reboot_needed", truth(s.Reboot.Needed))
	set("gitboot_suspended", truth(s.Suspension.Stands(time.Now())))
	set("gitboot_waiting", truth(s.Waiting != nil))
	set("gitboot_drift", float64(len(plan.Standing(s.Drift))))
	var noticed time.Time
	for _, d := range s.Drift {
		if d.Noticed.After(noticed) {
			noticed = d.Noticed
		}
	}
	if !noticed.IsZero() {
		set("gitboot_drift_noticed_timestamp_seconds", seconds(noticed))
	}
	for _, img := range s.Images {
		var damaged, booted, outdated float64
		for i, g := range img.Generations { // newest first
			damaged += truth(g.Damaged != "")
			booted = max(booted, truth(g.Booted))
			outdated = max(outdated, truth(g.Booted && i > 0))
		}
		set("gitboot_image_generations", float64(len(img.Generations)), img.Name)
		set("gitboot_image_damaged_generations", damaged, img.Name)
		set("gitboot_image_booted", booted, img.Name)
		set("gitboot_image_outdated", outdated, img.Name)
		set("gitboot_image_bad", truth(img.Bad() != nil), img.Name)
		set("gitboot_image_trying", truth(len(img.Generations) > 0 && img.Generations[0].State == boot.Trying), img.Name)
		for from, bytes := range fetched(img) {
			set("gitboot_image_fetched_bytes", float64(bytes), img.Name, from)
		}
		if len(img.Generations) > 0 {
			set("gitboot_image_staged_timestamp_seconds", seconds(img.Generations[0].Created), img.Name)
		}
		if !img.Checked.IsZero() {
			set("gitboot_image_checked_timestamp_seconds", seconds(img.Checked), img.Name)
		}
	}
	for _, other := range s.Signs {
		if !other.Time.IsZero() {
			set("gitboot_signed_timestamp_seconds", seconds(other.Time), other.Machine)
		}
		if other.Failure != nil {
			set("gitboot_signing_failure_since_timestamp_seconds", seconds(other.Failure.Since), other.Machine)
		}
	}
	for _, b := range s.Builds {
		if !b.Built.IsZero() {
			set("gitboot_build_timestamp_seconds", seconds(b.Built), b.Image)
		}
	}
}

// fetched is what of an image's newest generation came of whom, by kinds.
func fetched(img report.ImageStatus) map[string]int64 {
	if len(img.Generations) == 0 || img.Generations[0].Fetched == nil || len(img.Generations[0].Fetched.From) == 0 {
		return nil
	}
	from := map[string]int64{"peer": 0, "mirror": 0, "registry": 0}
	for _, g := range img.Generations[0].Fetched.From {
		from[g.Kind] += g.Bytes
	}
	return from
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
