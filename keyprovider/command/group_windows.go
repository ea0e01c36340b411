package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// ownGroup keeps a Ctrl-C meant for this process away from the helper.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

// killGroup kills the helper and the processes that it started. A process group
// cannot be killed on Windows; taskkill follows the tree of parents.
func killGroup(leader *os.Process) error {
	taskkill := filepath.Join(os.Getenv("SYSTEMROOT"), "System32", "taskkill.exe")
	_ = exec.Command(taskkill, "/T", "/F", "/PID", strconv.Itoa(leader.Pid)).Run()
	return leader.Kill() // reports os.ErrProcessDone where taskkill did it
}
