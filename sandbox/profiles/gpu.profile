# Functions with a device of NVIDIA's, in Python or native: what others of their runtime may call, and what its driver is spoken to with. That
# driver is code of the kernel with faults of its own, and nothing here looks into what it is asked: isolation=gpu says so.
include core.list
include no-network.list
include exec-once.list
allow ioctl when arg1 & 0xff00 == 0x4600  # NV_ESC_*: /dev/nvidiactl and /dev/nvidiaN; no other device that knows type 'F' is in the root
allow ioctl when arg1 & 0xffffff00 == 0  # UVM_*: /dev/nvidia-uvm numbers its requests from 1 without a type
allow ioctl when arg1 & 0xffffffff == 0x30000001  # UVM_INITIALIZE
allow ioctl when arg1 & 0xffffffff == 0x30000002  # UVM_DEINITIALIZE
allow mbind get_mempolicy  # buffers near the device
