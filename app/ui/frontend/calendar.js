// A week as a timeline: one lane a job, a mark a run, what is to come hollow, and a line for now.
const esc=x=>String(x??'').replace(/[&<>"']/g,c=>'&#'+c.charCodeAt(0)+';');
export default function({parentElement:root,data}){
 let S=root._K;if(!S)S=root._K={};S.data=data;const box=root.querySelector('.cal'),w=data.end-data.start,x=t=>(100*(t-data.start)/w).toFixed(3)+'%';
 const days=data.days.map(d=>`<span class="day${d.today?' today':''}${d.off?' off':''}" style="left:${x(d.at)};width:${(100*(d.to-d.at)/w).toFixed(3)}%"><b>${esc(d.name)}</b></span>`).join('');
 const lanes=data.lanes.map(l=>`<div class="lane${l.off?' muted':''}"><a class="n" href="${esc(l.href)}" title="${esc(l.title)}">${esc(l.title)}</a><div class="t">${data.days.map(d=>`<i class="g${d.off?' off':''}" style="left:${x(d.at)};width:${(100*(d.to-d.at)/w).toFixed(3)}%"></i>`).join('')}${l.pause?`<i class="pause" style="left:${x(Math.max(l.pause[0],data.start))};width:${Math.max(0,100*(Math.min(l.pause[1],data.end)-Math.max(l.pause[0],data.start))/w).toFixed(3)}%" title="Paused"></i>`:''}${l.runs.map(r=>r[3]?`<a class="m ${esc(r[1])}" style="left:${x(r[0])}" href="${esc(r[3])}" aria-label="${esc(r[2])}" title="${esc(r[2])}"></a>`:`<i class="m next" style="left:${x(r[0])}" role="img" aria-label="${esc(r[2])}" title="${esc(r[2])}"></i>`).join('')}</div></div>`).join('');
 const h=`<div class="scroll"><div class="in"><div class="head"><span></span><div class="t">${days}</div></div>${lanes}<div class="nowbox"><span></span><div class="t"><i class="now"><b>Now</b></i></div></div></div></div>`;
 if(S.h!==h){box.innerHTML=h;S.h=h;const sc=box.querySelector('.scroll'),inw=box.querySelector('.in').scrollWidth;if(inw>sc.clientWidth)sc.scrollLeft=inw*(Date.now()-data.start)/w-sc.clientWidth/2}
 const tick=()=>{const n=box.querySelector('.now'),t=Date.now();n.hidden=t<data.start||t>data.end;n.style.left=x(t)};tick();clearInterval(S.timer);S.timer=setInterval(tick,15000);
 return ()=>{clearInterval(S.timer);root._K=null}
}
