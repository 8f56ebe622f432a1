# What the doctor wants to know of a Windows guest, as lines of name=value. It changes nothing.
$ErrorActionPreference = 'SilentlyContinue'
$agent = 'qemu-ga\.exe|IaaSBcdrExtension\.exe'
$servicing = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing'
$update = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update'
$since = (Get-Date).AddDays(-1)
function Say($name, $value) { [Console]::Out.WriteLine("$name=$value") }
function Word($flag) { if ($flag) { 'yes' } else { 'no' } }

Say 'reboot' (Word ((Test-Path "$servicing\RebootPending") -or (Test-Path "$update\RebootRequired")))
Say 'updating' (Word ((Test-Path "$servicing\PackagesPending") -or (Test-Path "$servicing\RebootInProgress")))
$net = (Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full').Release
Say 'dotnet' ([int]$net)
foreach ($name in 'COMSysApp', 'MSDTC', 'VSS') {
    $service = Get-WmiObject Win32_Service -Filter "Name='$name'"
    if ($service) { Say "service.$name" "$($service.State),$($service.StartMode),$($service.StartName)" }
}
foreach ($line in (vssadmin list writers)) {
    if ($line -match '^\s+\S.*:\s*\[(\d+)\]') { Say 'writer' $Matches[1] }
}
$crashed = Get-WinEvent -FilterHashtable @{ LogName = 'Application'; Id = 1000; StartTime = $since } -MaxEvents 200
Say 'faults' @($crashed | Where-Object { $_.Message -match $agent }).Count
$refused = @{ LogName = 'Microsoft-Windows-AppLocker/EXE and DLL'; Id = 8004; StartTime = $since }
Say 'blocked' @(Get-WinEvent -FilterHashtable $refused -MaxEvents 200 | Where-Object { $_.Message -match $agent }).Count
$defender = Get-MpComputerStatus
if ($defender) {
    Say 'antivirus' (Word $defender.RealTimeProtectionEnabled)
    $paths = @((Get-MpPreference).ExclusionPath) -join ';'
    Say 'excluded' (Word ($paths -match 'Qemu-ga|RecoveryServices\.VMSnapshot'))
}
