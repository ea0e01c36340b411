//go:build !race

package rotationtest

// stride makes a build with the race detector explore a part of the schedules.
const stride = 1
